//! What functions ask the session and the catalog.

use annulus_base::id::TxnRef;
use annulus_relation::catalog::{Catalog, ObjectId, Relation};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};

use super::settings::check_token;
use crate::bind::{Constant, SystemFunctions, quote_name};
use crate::names::{Name, meant, path_ids, searched, split_name};
use crate::server::seeded::Seeded;
use crate::server::shared::{Need, Shared, lock, now};
use crate::system::SystemCatalog;

impl SystemFunctions for Shared {
    fn fact(&self, which: Constant) -> String {
        match which {
            Constant::CurrentUser | Constant::SessionUser => self.settings().user(),
            Constant::CurrentDatabase => self.database.clone(),
            Constant::Version => format!("PostgreSQL {} ({})", super::settings::SERVER_VERSION, self.version),
        }
    }

    fn search_path(&self, implicit: bool) -> Vec<String> {
        let catalog = self.catalog();
        let exists = |name: &&str| catalog.schema(name).is_some() || *name == "pg_catalog";
        let path = self.path();
        if implicit {
            return searched(&path).filter(exists).map(str::to_owned).collect();
        }
        let named = self.named_path();
        named.iter().map(|name| meant(&path, name)).filter(exists).map(str::to_owned).collect()
    }

    fn backend_pid(&self) -> i32 {
        self.id
    }

    fn clock(&self) -> i64 {
        now()
    }

    fn statement_start(&self) -> i64 {
        self.statement_start()
    }

    fn random(&self, bytes: &mut [u8]) {
        // Without randomness from the system nothing that is made here could be trusted to be unique.
        if getrandom::fill(bytes).is_err() {
            bytes.iter_mut().zip(now().to_be_bytes().iter().cycle()).for_each(|(byte, clock)| *byte = *clock);
        }
    }

    fn random_number(&self) -> f64 {
        if let Some(seeded) = &mut *lock(&self.seeded) {
            return seeded.next();
        }
        let mut bytes = [0; 8];
        self.random(&mut bytes);
        // The 53 bits that a number holds.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept exactly")]
        let number = (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64;
        number
    }

    fn set_seed(&self, seed: f64) {
        *lock(&self.seeded) = Some(Seeded::new(seed));
    }

    fn snowflake(&self) -> i64 {
        self.sequences.snowflake(self.node)
    }

    fn nextval(&self, sequence: u32) -> SqlResult<i64> {
        let catalog = self.catalog();
        if catalog.sequence_by_id(sequence).is_none() {
            return Err(no_sequence(&catalog, sequence));
        }
        match self.sequences.take(&catalog, sequence) {
            Some(value) => {
                self.note_value(sequence, value);
                Ok(value)
            }
            None => self.require(Need::Values(sequence, 1)),
        }
    }

    fn currval(&self, sequence: u32) -> SqlResult<i64> {
        let catalog = self.catalog();
        let Some(descriptor) = catalog.sequence_by_id(sequence) else { return Err(no_sequence(&catalog, sequence)) };
        self.given_value(sequence).ok_or_else(|| {
            let message = format!("currval of sequence \"{}\" is not yet defined in this session", descriptor.name);
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn lastval(&self) -> SqlResult<i64> {
        self.last_value().ok_or_else(|| {
            let message = "lastval is not yet defined in this session";
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn setval(&self, sequence: u32, value: i64, called: bool) -> SqlResult<i64> {
        let need = Need::Set { sequence, value, called };
        if self.answer(&need).is_none() {
            return self.require(need);
        }
        if called {
            self.note_value(sequence, value);
        }
        Ok(value)
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.settings().get(name)
    }

    fn set_config(&self, name: &str, value: &str, local: bool) -> SqlResult<String> {
        let mut settings = self.settings();
        settings.set(name, &[value.to_owned()], local)?;
        settings.show(name)
    }

    fn object(&self, kind: &SqlType, name: &str) -> SqlResult<Option<u32>> {
        let catalog = self.catalog();
        match kind {
            SqlType::Regclass => match self.find(&catalog, &split_name(name)?).map(|relation| relation.id()) {
                Some(id) => Ok(Some(id)),
                None => SystemCatalog(&self.own_scope()).object(kind, name),
            },
            _ => SystemCatalog(&self.own_scope()).object(kind, name),
        }
    }

    fn object_name(&self, kind: &SqlType, oid: u32) -> Option<String> {
        let catalog = self.catalog();
        match kind {
            SqlType::Regclass => {
                self.relation_name(&catalog, oid).or_else(|| SystemCatalog(&self.own_scope()).object_name(kind, oid))
            }
            _ => SystemCatalog(&self.own_scope()).object_name(kind, oid),
        }
    }

    fn call(&self, function: &str, args: &[Value]) -> SqlResult<Value> {
        match (function.trim_start_matches("annulus."), args) {
            ("outcome", [Value::Text(id)]) => self.outcome(id),
            ("token_outcome", [Value::Text(token)]) => self.token_outcome(token),
            ("transaction_id", []) => {
                let last = lock(&self.last_transaction);
                Ok(last.map_or(Value::Null, |txn| Value::text(txn.to_string())))
            }
            ("pg_sleep", [Value::Float8(seconds)]) => self.sleep(*seconds),
            ("pg_cancel_backend", [Value::Int4(session)]) => self.signal(*session, false),
            ("pg_terminate_backend", [Value::Int4(session), ..]) => self.signal(*session, true),
            ("node_id", []) => Ok(Value::text(format!("n{}", self.node))),
            _ => match SystemCatalog(&self.own_scope()).call(function, args) {
                Some(answer) => answer,
                None => Err(SqlError::unsupported(format!("the function {function}"))),
            },
        }
    }
}

fn no_sequence(catalog: &Catalog, id: ObjectId) -> SqlError {
    let name = match (catalog.table_by_id(id), catalog.view_by_id(id), catalog.index_by_id(id)) {
        (Some(table), ..) => table.name.clone(),
        (_, Some(view), _) => view.name.clone(),
        (_, _, Some((_, index))) => index.name.clone(),
        _ => return SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation with OID {id} does not exist")),
    };
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence"))
}

impl Shared {
    fn find<'c>(&self, catalog: &'c Catalog, name: &Name) -> Option<Relation<'c>> {
        let path = self.path();
        match &name.schema {
            Some(schema) => catalog.relation(catalog.schema(meant(&path, schema))?.id, &name.name),
            None => catalog.resolve(&path_ids(catalog, &path), &name.name),
        }
    }

    /// The name as PostgreSQL prints it: with its schema unless the search path finds it.
    fn relation_name(&self, catalog: &Catalog, oid: u32) -> Option<String> {
        let (schema, name) = match (catalog.table_by_id(oid), catalog.view_by_id(oid), catalog.sequence_by_id(oid)) {
            (Some(table), ..) => (table.schema, table.name.clone()),
            (_, Some(view), _) => (view.schema, view.name.clone()),
            (_, _, Some(sequence)) => (sequence.schema, sequence.name.clone()),
            _ => catalog.index_by_id(oid).map(|(table, index)| (table.schema, index.name.clone()))?,
        };
        let path = self.path();
        let path = path_ids(catalog, &path);
        if catalog.resolve(&path, &name).is_some_and(|found| found.id() == oid) {
            return Some(quote_name(&name));
        }
        let schema = &catalog.schema_by_id(schema)?.name;
        Some(format!("{}.{}", quote_name(schema), quote_name(&name)))
    }

    fn outcome(&self, id: &str) -> SqlResult<Value> {
        let txn: TxnRef = id.parse().map_err(|_| {
            let message = format!("invalid transaction id: \"{id}\"");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
        })?;
        let need = Need::Fate(txn);
        match self.answer(&need) {
            Some(fate) => Ok(fate),
            None => self.require(need),
        }
    }

    fn token_outcome(&self, token: &str) -> SqlResult<Value> {
        check_token(token)?;
        let need = Need::Token(token.to_owned());
        match self.answer(&need) {
            Some(outcome) => Ok(outcome),
            None => self.require(need),
        }
    }

    fn sleep(&self, seconds: f64) -> SqlResult<Value> {
        let need = Need::Sleep(std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default());
        match self.answer(&need) {
            Some(_) => Ok(Value::text("")),
            None => self.require(need),
        }
    }

    fn signal(&self, session: i32, terminate: bool) -> SqlResult<Value> {
        let need = Need::Signal { session, terminate };
        match self.answer(&need) {
            Some(answer) => Ok(answer),
            None => self.require(need),
        }
    }
}
