//! The schemas of sessions' temporary relations.
//!
//! Promises and invariants:
//! - A schema's name says which node it is of, and is given once: nobody finds what was left of another session.
//! - What no session has any more is dropped in the background by its node, and if that does not come back, by any other.
//!   Whoever ends waits for nothing.
//! - Who has no temporary relations pays nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use annulus_base::Timestamp;
use annulus_base::time::Micros;
use annulus_relation::catalog::{Catalog, Edit, LONGEST, ObjectId, Schema, TEMPORARY, renew};
use annulus_relation::failure::Outcome;
use annulus_relation::transaction::{Mode, Transaction};
use annulus_txn::interface::Database;
use sqlparser::ast::OnCommit;

use super::Server;
use super::catalogs::Catalogs;
use super::deadline::Deadline;
use super::shared::{Shared, lock};
use crate::ddl::cleared;
use crate::names::OWN;

/// How old a schema may become before its node renews it.
const FRESH: Micros = LONGEST / 4;
/// Most relations that are dropped by one transaction.
const MOST: usize = 64;

/// The names of the schemas that sessions of this node have.
#[derive(Debug, Default)]
pub(crate) struct Living(Mutex<BTreeSet<String>>);

/// What a session has of its own.
#[derive(Debug)]
pub(crate) struct Temporary {
    living: Arc<Living>,
    /// The name of its schema, once it has needed one. There may be none of that name.
    name: OnceLock<String>,
    /// What happens to tables when a transaction commits. Tables that were undone may still be in it: whoever is given
    /// their numbers says anew what happens to them.
    on_commit: Mutex<BTreeMap<ObjectId, OnCommit>>,
}

impl Temporary {
    pub fn new(living: &Arc<Living>) -> Self {
        Self { living: Arc::clone(living), name: OnceLock::new(), on_commit: Mutex::default() }
    }

    /// The name of its schema, if it has needed one.
    pub fn name(&self) -> Option<&str> {
        self.name.get().map(String::as_str)
    }

    /// The name of its schema, which is `new` if it has had none.
    pub fn name_or(&self, new: impl FnOnce() -> String) -> &str {
        self.name.get_or_init(|| {
            let name = new();
            lock(&self.living.0).insert(name.clone());
            name
        })
    }

    /// Where names are looked up: in its own schema before all others, unless the path says where.
    pub fn path(&self, path: Arc<[String]>) -> Arc<[String]> {
        let Some(own) = self.name() else { return path };
        let is_named = |name: &str| path.iter().any(|named| named == name);
        let first = match is_named(OWN) {
            false => Some(own),
            true => (!is_named("pg_catalog")).then_some("pg_catalog"),
        };
        let named = path.iter().map(|name| if name == OWN { own } else { name });
        first.into_iter().chain(named).map(str::to_owned).collect()
    }

    /// Says what happens to a new table at commits.
    pub fn declare(&self, table: ObjectId, on_commit: Option<OnCommit>) {
        let mut all = lock(&self.on_commit);
        match on_commit {
            Some(action @ (OnCommit::DeleteRows | OnCommit::Drop)) => all.insert(table, action),
            Some(OnCommit::PreserveRows) | None => all.remove(&table),
        };
    }

    /// The tables in a catalog to which something happens at the commit.
    pub fn ending(&self, catalog: &Catalog) -> Vec<(ObjectId, OnCommit)> {
        let all = lock(&self.on_commit);
        let Some(schema) = self.name().filter(|_| !all.is_empty()).and_then(|name| catalog.schema(name)) else {
            return Vec::new();
        };
        let is_own = |id: ObjectId| catalog.table_by_id(id).is_some_and(|table| table.schema == schema.id);
        all.iter().filter(|(id, _)| is_own(**id)).map(|(id, action)| (*id, *action)).collect()
    }

    /// Forgets tables that are not there any more.
    pub fn keep(&self, catalog: &Catalog) {
        lock(&self.on_commit).retain(|id, _| catalog.table_by_id(*id).is_some());
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = self.name.get() {
            lock(&self.living.0).remove(name);
        }
    }
}

/// The name of a schema of a node's session.
pub(crate) fn schema_name(node: u32, unique: i64) -> String {
    format!("{TEMPORARY}{node}_{unique}")
}

/// The node that a schema is of.
fn node_of(schema: &str) -> Option<u32> {
    schema.strip_prefix(TEMPORARY)?.split_once('_')?.0.parse().ok()
}

impl<D: Database> Server<D> {
    fn is_own(&self, schema: &Schema) -> bool {
        node_of(&schema.name) == Some(self.config.node)
    }

    /// Whether a schema, last written then, is nobody's.
    fn is_left(&self, schema: &Schema, written: Timestamp, now: Timestamp) -> bool {
        match self.is_own(schema) {
            true => !lock(&self.temporary.0).contains(&schema.name),
            false => now.micros() > written.micros().saturating_add(LONGEST),
        }
    }

    fn left(&self, catalog: &Catalog) -> Vec<ObjectId> {
        let now = self.db.begin();
        let all = catalog.temporary_schemas();
        all.filter(|(schema, written)| self.is_left(schema, *written, now)).map(|(schema, _)| schema.id).collect()
    }

    /// Drops the schemas that nobody has any more, and renews those that sessions of this node have.
    pub(super) async fn tend_temporary(&self, catalogs: &Rc<Catalogs>, shared: &Shared) -> Outcome<()> {
        self.renew_temporary(catalogs).await?;
        while self.drop_left(catalogs, shared).await? {}
        Ok(())
    }

    /// Drops a part of what nobody has any more; whether there was something.
    async fn drop_left(&self, catalogs: &Rc<Catalogs>, shared: &Shared) -> Outcome<bool> {
        let deadline = Deadline::new(None);
        if self.left(&*catalogs.current(&self.db, deadline.left()).await?).is_empty() {
            return Ok(false);
        }
        // Their nodes may have renewed them meanwhile.
        let catalog = catalogs.reload(&self.db, deadline.left()).await?;
        let left = self.left(&catalog);
        if left.is_empty() {
            return Ok(false);
        }
        // One for the garbage of each.
        catalogs.numbers.fill(&self.db, &catalogs.home, 2 * MOST as u32, deadline.left()).await?;
        let edit = Edit::with_numbers(&catalog, catalogs.numbers.clone());
        let edit = cleared(edit, shared, &left, MOST)?;
        let mut transaction = Transaction::new(self.db.clone(), Mode::Statement, self.db.begin());
        edit.finish(&mut transaction)?;
        catalogs.outdate();
        transaction.commit(deadline.left()).await?;
        Ok(true)
    }

    async fn renew_temporary(&self, catalogs: &Rc<Catalogs>) -> Outcome<()> {
        let deadline = Deadline::new(None);
        let (catalog, now) = (catalogs.current(&self.db, deadline.left()).await?, self.db.begin());
        let is_old = |written: Timestamp| now.micros() > written.micros().saturating_add(FRESH);
        let old = catalog.temporary_schemas().filter(|(schema, written)| self.is_own(schema) && is_old(*written));
        for (schema, written) in old {
            if !self.is_left(schema, written, now) {
                catalogs.outdate();
                renew(&self.db, &catalog, schema.id, deadline.left()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use annulus_txn::interface::TxnError;
    use annulus_txn::testing::{Call, Fault};

    use super::*;
    use crate::testing::{Node, run};

    const MANY: &str = "create temp table t (id serial primary key, v text unique); \
        insert into t (v) select i::text from generate_series(1, 3000) i; \
        create index on t (v, id); create temp view w as select * from t; create temp sequence s; select nextval('s')";
    const SHOWN: &str = "select count(*) from pg_namespace where nspname like 'pg_temp%'";

    /// How many keys are left when nothing is to be done any more.
    async fn settled(node: &Node) -> usize {
        node.server.round(&mut HashMap::new()).await.unwrap();
        node.db.present().len()
    }

    #[test]
    fn a_session_that_ends_leaves_nothing() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut client, mut other) = (node.client().await, elsewhere.client().await);
            client.ok("create table p (id int primary key, v text); insert into p values (1, 'x')").await;
            client.ok("create temp table t (a int); discard temp").await;
            let before = settled(&node).await;
            client.ok(MANY).await;
            client.ok("begin; create temp table u as select * from t").await;
            client.ok("commit").await;
            assert_eq!(other.ok(SHOWN).await, "1\nSELECT 1");
            assert!(settled(&elsewhere).await > before + 6_000 && settled(&node).await > before + 6_000);
            assert_eq!(client.ok("select count(*) from t join u using (id)").await, "3000\nSELECT 1");
            // Another one is under way when the session ends.
            client.ok("begin; create temp table x (a int)").await;
            drop(client);
            assert!(settled(&elsewhere).await > before + 6_000);
            assert_eq!(settled(&node).await, before);
            assert_eq!(other.ok(SHOWN).await, "0\nSELECT 1");
        });
    }

    #[test]
    fn what_could_not_be_dropped_is_dropped_later() {
        run(async |node| {
            let (mut client, mut other) = (node.client().await, node.client().await);
            other.ok("create temp table t (a int); discard temp").await;
            let before = settled(&node).await;
            client.ok(MANY).await;
            drop(client);
            node.db.inject(Call::Commit, Fault::Fails(TxnError::Overloaded));
            assert!(settled(&node).await > before + 6_000);
            assert_eq!(settled(&node).await, before);
        });
    }

    #[test]
    fn what_a_node_left_that_died_is_dropped_when_it_is_back_or_has_been_away_for_a_day() {
        run(async |node| {
            let elsewhere = node.other();
            let mut lasting = elsewhere.client().await;
            let before = settled(&node).await;
            node.client().await.ok("create temp table t (a int)").await;
            lasting.ok("create temp table t (a int); insert into t values (1)").await;
            let again = Node::over(node.db.clone(), node.server.config.node);
            settled(&again).await;
            assert_eq!(lasting.ok(SHOWN).await, "1\nSELECT 1");
            // This one's node is not seen any more, the other one's all the time.
            let mut lost = again.client().await;
            lost.ok("create temp table t (a int)").await;
            for _ in 0..3 {
                assert_eq!(lasting.ok(SHOWN).await, "2\nSELECT 1");
                node.db.pass(LONGEST / 3 + 1);
                settled(&elsewhere).await;
            }
            assert_eq!(lasting.ok(SHOWN).await, "1\nSELECT 1");
            assert_eq!(lasting.ok("select a from t").await, "1\nSELECT 1");
            assert!(lost.told("select a from t").await.starts_with("ERROR 42P01"));
            lost.ok("create temp table t (a int); discard temp").await;
            drop(lasting);
            settled(&elsewhere).await;
            // The root, the schema `public`, the counter of numbers, and that something temporary has changed.
            assert!(settled(&again).await <= before + 4);
        });
    }

    #[test]
    fn many_relations_are_dropped_in_parts() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table p (id int); create temp table t (a int); discard temp").await;
            let before = settled(&node).await;
            let tables = (0..MOST * 3 / 2).map(|n| format!("create temp table t{n} (id serial primary key)"));
            client.ok(&tables.collect::<Vec<_>>().join("; ")).await;
            client.ok("create temp table child (id int references t3); create temp view a as select * from t9").await;
            drop(client);
            settled(&node).await;
            assert_eq!(node.client().await.ok(SHOWN).await, "0\nSELECT 1");
            // Each round deletes a part of the rows.
            for _ in 0..20 {
                settled(&node).await;
            }
            assert_eq!(settled(&node).await, before);
        });
    }

    #[test]
    fn blocks_that_define_are_in_nobodys_way_who_has_temporary_relations() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut one, mut other) = (node.client().await, elsewhere.client().await);
            one.ok("create table p (id serial primary key, v text); insert into p (v) values ('x')").await;
            let mut gone = node.client().await;
            gone.ok(
                "create temp table t (id serial primary key, v text unique); create temp view w as select * from t",
            )
            .await;
            // Each has read the catalog before the others change it.
            one.ok("begin; create table q (id int)").await;
            other.ok("begin; select count(*) from p; create temp table t as select * from p with no data").await;
            let mut third = node.client().await;
            third.ok("begin; select count(*) from p; create temp table t (like p including all) on commit drop").await;
            third.ok("create index on t (v); insert into t (v) values ('y')").await;
            drop(gone);
            node.server.round(&mut HashMap::new()).await.unwrap();
            assert_eq!(node.client().await.ok(SHOWN).await, "0\nSELECT 1");
            other
                .ok("create temp view w as select v from p; create temp sequence s; insert into t values (1, 'z')")
                .await;
            for client in [&mut other, &mut third, &mut one] {
                client.ok("commit").await;
            }
            assert_eq!(other.ok("select v, nextval('s') from t").await, "z|1\nSELECT 1");
            assert_eq!(other.ok("select v from w").await, "x\nSELECT 1");
            assert_eq!(one.ok("select count(*) from q").await, "0\nSELECT 1");
            assert!(third.told("select * from t").await.starts_with("ERROR 42P01"));
            assert_eq!(one.ok(SHOWN).await, "2\nSELECT 1");
        });
    }

    #[test]
    fn what_a_temporary_relation_goes_by_is_as_it_was() {
        run(async |node| {
            let (mut one, mut other) = (node.client().await, node.client().await);
            one.ok("create table p (id int primary key, v text); create sequence s").await;
            let creations = ["view w as select v from p", "table l (like p)", "table d (id int default nextval('s'))"];
            let changes = ["alter table p rename v to u", "alter table p rename u to v", "drop sequence s"];
            for (creation, change) in creations.iter().zip(changes) {
                other.ok(&format!("begin; select 1 from p; create temp {creation}")).await;
                one.ok(change).await;
                let told = other.told("commit").await;
                assert!(told.starts_with("ERROR 40001"), "{creation}: {told}");
            }
        });
    }
}
