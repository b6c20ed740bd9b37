//! `TRUNCATE`: a table begins a new generation of data.

use annulus_relation::catalog::{ObjectId, Sequence};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{CascadeOption, Truncate, TruncateIdentityOption};

use super::Definition;
use super::constraint::check_not_rekeyed;

impl Definition<'_> {
    pub(super) fn truncate(&mut self, truncate: &Truncate) -> SqlResult<&'static str> {
        let mut ids: Vec<ObjectId> = Vec::new();
        for target in &truncate.table_names {
            let name = self.name(&target.name)?;
            let id = self.names().table(&name)?.id;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let cascade = truncate.cascade == Some(CascadeOption::Cascade);
        let mut at = 0;
        while let Some(id) = ids.get(at).copied() {
            at += 1;
            self.add_children(id, &mut ids, cascade)?;
        }
        for id in &ids {
            self.catalog().table_by_id(*id).map_or(Ok(()), |table| check_not_rekeyed(table))?;
        }
        if truncate.identity == Some(TruncateIdentityOption::Restart) {
            let owned = self.catalog().sequences().filter(|s| s.owner.is_some_and(|(owner, _)| ids.contains(&owner)));
            let owned: Vec<Sequence> = owned.map(|sequence| Sequence::clone(sequence)).collect();
            // Ranges that nodes have taken end with it.
            owned.iter().try_for_each(|sequence| self.edit.put_sequence(sequence.clone()))?;
            self.restarted.extend(owned);
        }
        self.truncated = ids;
        Ok("TRUNCATE TABLE")
    }

    /// Tables that refer to this one are truncated with it, or forbid it.
    fn add_children(&mut self, id: ObjectId, ids: &mut Vec<ObjectId>, cascade: bool) -> SqlResult<()> {
        let Some(table) = self.catalog().table_by_id(id) else { return Ok(()) };
        let (name, children) = (table.name.clone(), table.referenced_by.clone());
        for child in children.into_iter().filter(|child| *child != id) {
            let found = self.catalog().table_by_id(child).filter(|child| child.refers_to(id));
            let Some(child_name) = found.map(|child| child.name.clone()).filter(|_| !ids.contains(&child)) else {
                continue;
            };
            if !cascade {
                let message = "cannot truncate a table referenced in a foreign key constraint";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .detail(format!("Table \"{child_name}\" references \"{name}\"."))
                    .hint(format!("Truncate table \"{child_name}\" at the same time, or use TRUNCATE ... CASCADE.")));
            }
            self.notice(format!("truncate cascades to table \"{child_name}\""));
            ids.push(child);
        }
        Ok(())
    }
}
