//! Schemas of sessions, for their temporary relations: they are known by their names.
//!
//! Nobody but its session looks into such a schema by plain names, so what happens in it changes the meaning of nobody's
//! statements. Whoever has one renews it now and then, so that others can tell that it is not left over.

use annulus_base::Timestamp;
use annulus_base::time::Micros;
use annulus_txn::interface::Database;

use super::home::Kind;
use super::loaded::Catalog;
use super::{ObjectId, Schema, record};
use crate::failure::Outcome;
use crate::transaction::{Mode, Transaction};

/// What the names of sessions' schemas begin with. No user gives such a name to a schema.
pub const TEMPORARY: &str = "pg_temp_";

/// What every session calls the schema of its own.
pub const OWN: &str = "pg_temp";

/// Whether a schema of this name is a session's.
#[must_use]
pub fn is_temporary(schema: &str) -> bool {
    schema.starts_with(TEMPORARY)
}

impl Catalog {
    /// Whether the schema of a number is a session's.
    #[must_use]
    pub fn is_temporary(&self, schema: ObjectId) -> bool {
        self.schema_by_id(schema).is_some_and(|schema| is_temporary(&schema.name))
    }

    /// The schemas of sessions, each with when it was last written.
    pub fn temporary_schemas(&self) -> impl Iterator<Item = (&Schema, Timestamp)> {
        let all = self.schemas.values().filter(|entry| is_temporary(&entry.value.name));
        all.map(|entry| (&*entry.value, entry.stamp.map_or(Timestamp::ZERO, |stamp| stamp.ts)))
    }
}

/// Writes a schema again as it is, unless somebody has changed it.
///
/// # Errors
/// Every [`annulus_txn::interface::TxnError`]; a conflict means that it is not as it was.
pub async fn renew<D: Database>(db: &D, catalog: &Catalog, schema: ObjectId, patience: Micros) -> Outcome<()> {
    let Some(entry) = catalog.schemas.get(&schema) else { return Ok(()) };
    let place = catalog.home.record(Kind::Schema, schema);
    let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
    entry.stamp.into_iter().for_each(|stamp| transaction.expect(place.clone(), stamp));
    transaction.put(place, record::encode(&entry.value));
    transaction.commit(patience).await?;
    Ok(())
}
