//! `ALTER TABLE`, and what renames and moves relations.

use std::sync::Arc;

use annulus_relation::catalog::{
    Column, ColumnId, Default, KeyPart, NotNull, ObjectId, Relation, Sequence, Table, View,
};
use annulus_relation::error::SqlState;
use annulus_relation::value::KnownTypes;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef, DropBehavior,
    Ident, ObjectName, RenameTableNameKind, TableConstraint,
};

use super::Definition;
use super::constraint::{check_not_rekeyed, check_retyped_alone, find_column};
use super::expression::{columns_of, columns_of_index, rewrite};
use super::retype::coming_type;
use super::schema::plain_name;
use super::table::{Pending, check_not_system};
use crate::names::{Name, is_not, position_of, undefined};
use crate::parse::{AlterIdentity, TAKEN_ACTION, TableAction};

impl Definition<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> SqlResult<&'static str> {
        let name = self.name(&alter.name)?;
        let Some(found) = self.names().find(&name) else {
            if alter.if_exists {
                self.notice(format!("relation \"{}\" does not exist, skipping", name.name));
                return Ok("ALTER TABLE");
            }
            self.names().get(&name)?;
            return Err(undefined(&name, "relation"));
        };
        let id = found.id();
        if let [AlterTableOperation::RenameTable { table_name }] = alter.operations.as_slice() {
            let (RenameTableNameKind::To(to) | RenameTableNameKind::As(to)) = table_name;
            return self.rename(id, &plain_name(to)?.value);
        }
        if alter.operations.iter().all(|operation| matches!(operation, AlterTableOperation::OwnerTo { .. })) {
            // There are no owners yet; views and sequences have as many.
            return Ok("ALTER TABLE");
        }
        let Relation::Table(table) = found else { return Err(is_not(&name, found, "a table")) };
        check_not_rekeyed(table)?;
        let declared = self.identities.as_slice();
        for action in in_order(&alter.operations, self.actions) {
            self.add_waiting(id, |constraint| {
                action.pass > PASS_OF_KEYS || is_key(constraint) && action.pass == PASS_OF_KEYS
            })?;
            // Those that are carried out before may stand behind.
            self.identities = declared.get(action.identities..).unwrap_or_default().iter();
            match action.taken {
                Some(taken) => self.alter_taken(id, taken)?,
                None => self.alter(id, action.operation)?,
            }
        }
        self.add_waiting(id, is_key)?;
        self.add_waiting(id, |_| true)?;
        self.show_leaving(id)?;
        check_retyped_alone(&self.current(id)?)?;
        let at_once = self.at_once;
        self.jobs.sort_by_key(|job| job.turn(at_once));
        Ok("ALTER TABLE")
    }

    /// The table as changed so far.
    pub(super) fn current(&self, id: ObjectId) -> SqlResult<Table> {
        let found = self.catalog().table_by_id(id).map(|table| Table::clone(table));
        found.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, "the table was dropped"))
    }

    fn alter(&mut self, id: ObjectId, operation: &AlterTableOperation) -> SqlResult<()> {
        use AlterTableOperation as O;
        let cascades = |behavior: &Option<DropBehavior>| *behavior == Some(DropBehavior::Cascade);
        match operation {
            O::AddColumn { if_not_exists, column_def, .. } => self.add_column(id, *if_not_exists, column_def),
            O::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                column_names.iter().try_for_each(|name| self.drop_column(id, name, *if_exists, cascades(drop_behavior)))
            }
            O::RenameColumn { old_column_name, new_column_name } => {
                self.rename_column(id, old_column_name, new_column_name)
            }
            O::AlterColumn { column_name, op } => self.alter_column(id, column_name, op),
            O::AddConstraint { constraint, not_valid } => self.add_table_constraint(id, constraint, *not_valid),
            O::DropConstraint { if_exists, name, drop_behavior } => {
                self.drop_constraint(id, name, *if_exists, cascades(drop_behavior))
            }
            O::RenameConstraint { old_name, new_name } => self.rename_constraint(id, old_name, new_name),
            O::ValidateConstraint { name } => self.validate_constraint(id, &name.value),
            // There are no owners yet.
            O::OwnerTo { .. } | O::ReplicaIdentity { .. } | O::SetOptionsParens { .. } => Ok(()),
            other => Err(SqlError::unsupported(format!("ALTER TABLE ... {other}"))),
        }
    }

    fn alter_taken(&mut self, id: ObjectId, action: &TableAction) -> SqlResult<()> {
        match action {
            TableAction::Identity { column, alter } => self.alter_identity(id, column, alter),
            TableAction::Constraint { name, deferrable, deferred } => {
                self.alter_constraint(id, name, *deferrable, *deferred)
            }
            TableAction::Storage { column: Some(column) } => {
                find_column(&self.current(id)?, &Ident::new(column)).map(drop)
            }
            TableAction::Storage { column: None } => Ok(()),
        }
    }

    fn add_column(&mut self, id: ObjectId, if_not_exists: bool, definition: &ColumnDef) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let name = &definition.name.value;
        if table.columns.iter().any(|column| column.name == *name) {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", table.name);
            if if_not_exists {
                self.skipped(SqlState::DUPLICATE_COLUMN, &message);
                return Ok(());
            }
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position_of(&definition.name)));
        }
        self.replace_leaving(&mut table, name)?;
        let mut pending = Vec::new();
        self.add_declared(&mut table, definition, &mut pending)?;
        self.add_defaults(&mut table, std::slice::from_ref(definition))?;
        self.fill_column(&mut table, name)?;
        self.edit.put_table(table)?;
        let of_column = |Pending { constraint, column }: Pending<'_>| (constraint, column.cloned());
        self.waiting.extend(pending.into_iter().map(of_column));
        Ok(())
    }

    /// Adds the constraints of columns that were added whose turn it is: in the order in which they were declared.
    fn add_waiting(&mut self, id: ObjectId, is_next: impl Fn(&TableConstraint) -> bool) -> SqlResult<()> {
        let (next, later) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(constraint, _)| is_next(constraint));
        self.waiting = later;
        for (constraint, column) in next {
            // They refer to the table as it is in the catalog.
            let mut table = self.current(id)?;
            self.add_constraint(&mut table, &constraint, column.as_ref(), false)?;
            self.edit.put_table(table)?;
        }
        Ok(())
    }

    /// What a new column has in the rows that are there: its default, if that is the same for all of them.
    fn fill_column(&mut self, table: &mut Table, name: &str) -> SqlResult<()> {
        use crate::bind::{Binder, EvalContext, ParamTypes, Scope, Volatility};
        let Some(column) = table.columns.iter_mut().find(|column| column.name == name) else { return Ok(()) };
        let same_for_all = match &column.default {
            None => None,
            Some(Default::Expression(text)) => {
                let (scope, mut params) = (Scope::new(), ParamTypes::new());
                let expression = crate::parse::parse_expression(text)?;
                let bound = Binder::new(&scope, &mut params, self.env).bind_assigned(&expression, name, &column.ty)?;
                if bound.volatility() == Volatility::Volatile {
                    self.computed.insert(table.id);
                    return Ok(());
                }
                Some(bound.eval(&[], &[], &EvalContext::new(self.env, self.shared))?)
            }
            Some(Default::Identity(..) | Default::Generated(_)) => {
                self.computed.insert(table.id);
                return Ok(());
            }
        };
        match same_for_all {
            Some(value) if !value.is_null() => {
                column.missing = Some(annulus_relation::codec::encode_value(&value));
                Ok(())
            }
            _ if column.not_null.is_declared() => {
                column.not_null = NotNull::Pending;
                let column = column.id;
                self.note_validation(table.id, Some(column), None);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn drop_column(&mut self, id: ObjectId, name: &Ident, if_exists: bool, cascade: bool) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let column = match find_column(&table, name) {
            Ok(column) => column.id,
            Err(_) if if_exists => {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist, skipping", name.value, table.name);
                self.notice(message);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let what = format!("column {} of table {}", name.value, table.name);
        self.views_forbid(&table, column, &what)?;
        for other in computed_from(&table, column)? {
            if !cascade {
                let message = format!("cannot drop {what} because other objects depend on it");
                let detail = format!("column {other} of table {} depends on column {}", table.name, name.value);
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                    .detail(detail)
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            self.notice(format!("drop cascades to column {other} of table {}", table.name));
            self.drop_column(id, &Ident::with_quote('"', other), true, true)?;
            table = self.current(id)?;
        }
        let mut gone = Vec::new();
        for index in table.indexes.iter().skip(1) {
            if columns_of_index(index, &table)?.contains(&column) {
                gone.push(index.id);
            }
        }
        let in_key = table.primary_columns().any(|id| id == column);
        let primary = in_key.then(|| table.indexes[0].id);
        for index in gone.iter().copied().chain(primary) {
            self.leave_dependents(&mut table, index, (&what, &what), cascade)?;
        }
        table.indexes.retain(|index| !gone.contains(&index.id));
        let mut checks = Vec::new();
        for check in &table.checks {
            if !columns_of(&check.expression, &table)?.contains(&column) {
                checks.push(check.clone());
            }
        }
        table.checks = checks;
        let parents: Vec<ObjectId> =
            table.foreign_keys.iter().filter(|key| key.columns.contains(&column)).map(|key| key.parent).collect();
        table.foreign_keys.retain(|key| !key.columns.contains(&column));
        match in_key {
            true => self.leave_with_key(&mut table, column)?,
            false => table.columns.retain(|other| other.id != column),
        }
        self.edit.put_table(table.clone())?;
        for parent in parents {
            self.edit.unrefer(parent, &table)?;
        }
        // What goes with the key is there until that has gone.
        if in_key { self.free_owned(id, column) } else { self.drop_owned(id, column) }
    }

    /// `2BP01` if a view reads the table: its query may name anything of it, but no column that came later.
    pub(super) fn views_forbid(&self, table: &Table, column: ColumnId, what: &str) -> SqlResult<()> {
        let later = |view: &View| view.knows(table.id).is_some_and(|last| column > last);
        let reads = |view: &&Arc<View>| view.reads.contains(&table.id) && !later(view);
        let Some(view) = self.catalog().views().find(reads) else { return Ok(()) };
        let message = format!("cannot change {what} because other objects depend on it");
        Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(format!("view {} depends on table {}", view.name, table.name))
            .hint("Drop the view first, and create it again afterwards."))
    }

    fn rename_column(&mut self, id: ObjectId, from: &Ident, to: &Ident) -> SqlResult<()> {
        let before = self.current(id)?;
        let column = find_column(&before, from)?.id;
        check_not_system(&to.value)?;
        if before.columns.iter().any(|other| other.name == to.value) {
            let message = format!("column \"{}\" of relation \"{}\" already exists", to.value, before.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position_of(to)));
        }
        let names = before.columns.iter().map(|column| (column.id, column.name.clone())).collect();
        self.follow_columns(id, (before.schema, &before.name), names)?;
        let mut after = before.clone();
        let renamed = after.columns.iter_mut().find(|other| other.id == column);
        renamed.into_iter().for_each(|other| other.name.clone_from(&to.value));
        rewrite_expressions(&before, &mut after, &self.env.types)?;
        self.edit.put_table(after)
    }

    fn alter_column(&mut self, id: ObjectId, name: &Ident, operation: &AlterColumnOperation) -> SqlResult<()> {
        use AlterColumnOperation as O;
        let mut table = self.current(id)?;
        let column = find_column(&table, name)?.clone();
        let generated = matches!(column.default, Some(Default::Generated(_)));
        let is_identity = matches!(column.default, Some(Default::Identity(..)));
        let mut changed = column.clone();
        match operation {
            O::SetNotNull => {
                if !column.not_null.is_declared() {
                    changed.not_null = NotNull::Pending;
                    self.note_validation(id, Some(column.id), None);
                }
            }
            O::SetDefault { .. } | O::DropDefault | O::DropNotNull if is_identity => {
                let message =
                    format!("column \"{}\" of relation \"{}\" is an identity column", column.name, table.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            O::DropNotNull => {
                if in_primary_key(&table, column.id) {
                    let message = format!("column \"{}\" is in a primary key", column.name);
                    return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
                }
                if table.primary_columns().any(|id| id == column.id) {
                    table.reshaping_mut().into_iter().for_each(|reshaping| reshaping.nullable.push(column.id));
                    return self.edit.put_table(table);
                }
                changed.not_null = NotNull::No;
            }
            O::SetDefault { .. } | O::DropDefault if generated => {
                let message =
                    format!("column \"{}\" of relation \"{}\" is a generated column", column.name, table.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            O::SetDefault { value } => {
                if let Some(ty) = coming_type(&table, column.id) {
                    let (text, _) = self.default(value, &Column { ty, ..column.clone() })?;
                    table.set_next_default(column.id, text);
                    return self.edit.put_table(table);
                }
                changed.default = Some(Default::Expression(self.default(value, &column)?.0));
            }
            O::DropDefault => changed.default = None,
            O::SetDataType { data_type, using, .. } => {
                return self.retype(table, &column, data_type, using.as_ref());
            }
            O::AddGenerated { generated_as, .. } => {
                check_becomes_identity(&table, &column)?;
                let kind = generated_as.unwrap_or(sqlparser::ast::GeneratedAs::ByDefault);
                changed.default = Some(self.identity(&table, &column, &kind)?);
            }
        }
        table.columns.iter_mut().filter(|other| other.id == column.id).for_each(|other| *other = changed.clone());
        self.edit.put_table(table)
    }

    /// `ALTER TABLE ... RENAME TO`, which PostgreSQL allows for all relations.
    fn rename(&mut self, id: ObjectId, to: &str) -> SqlResult<&'static str> {
        let catalog = self.catalog();
        if let Some(table) = catalog.table_by_id(id) {
            let table = Table::clone(table);
            self.follow_relation(id, (table.schema, &table.name), (table.schema, to))?;
            self.edit.put_table(Table { name: to.to_owned(), ..table })?;
        } else if let Some(view) = catalog.view_by_id(id) {
            let view = View::clone(view);
            self.put_renamed_view(view, to)?;
        } else if let Some(sequence) = catalog.sequence_by_id(id) {
            let before = Sequence::clone(sequence);
            let after = Sequence { name: to.to_owned(), ..before.clone() };
            self.edit.put_sequence(after.clone())?;
            self.sequence_renamed(&before, &after)?;
        }
        Ok("ALTER TABLE")
    }

    pub(super) fn rename_view(&mut self, name: &ObjectName, if_exists: bool, to: &str) -> SqlResult<&'static str> {
        let name = self.name(name)?;
        match self.names().find(&name) {
            Some(Relation::View(view)) => {
                let view = View::clone(view);
                self.put_renamed_view(view, to)?;
            }
            Some(other) => return Err(is_not(&name, other, "a view")),
            None if if_exists => self.notice(format!("relation \"{}\" does not exist, skipping", name.name)),
            None => return Err(undefined(&name, "relation")),
        }
        Ok("ALTER VIEW")
    }

    pub(super) fn set_schema(
        &mut self,
        kind: &str,
        name: &ObjectName,
        if_exists: bool,
        schema: &str,
    ) -> SqlResult<&'static str> {
        let tag = match kind {
            "view" => "ALTER VIEW",
            "sequence" => "ALTER SEQUENCE",
            _ => "ALTER TABLE",
        };
        let name: Name = self.name(name)?;
        let to = self.names().schema(schema, None)?.id;
        let found = match self.names().find(&name) {
            Some(found) if found.kind() == kind => found.id(),
            Some(other) => return Err(is_not(&name, other, &format!("a {kind}"))),
            None if if_exists => {
                self.notice(format!("relation \"{}\" does not exist, skipping", name.name));
                return Ok(tag);
            }
            None => return Err(undefined(&name, "relation")),
        };
        self.check_stays(found, to)?;
        self.move_to(found, to)?;
        Ok(tag)
    }

    /// Moves a relation, and the sequences of a table, into another schema.
    fn move_to(&mut self, id: ObjectId, schema: ObjectId) -> SqlResult<()> {
        let catalog = self.catalog();
        if let Some(table) = catalog.table_by_id(id) {
            let table = Table::clone(table);
            let owned = catalog.sequences().filter(|sequence| sequence.owner.is_some_and(|(owner, _)| owner == id));
            let owned: Vec<ObjectId> = owned.map(|sequence| sequence.id).collect();
            self.follow_relation(id, (table.schema, &table.name), (schema, &table.name))?;
            self.edit.put_table(Table { schema, ..table })?;
            return owned.into_iter().try_for_each(|sequence| self.move_to(sequence, schema));
        }
        if let Some(view) = catalog.view_by_id(id) {
            let view = View::clone(view);
            self.follow_relation(id, (view.schema, &view.name), (schema, &view.name))?;
            return self.edit.put_view(View { schema, ..view });
        }
        let Some(sequence) = catalog.sequence_by_id(id) else { return Ok(()) };
        let before = Sequence::clone(sequence);
        let after = Sequence { schema, ..before.clone() };
        self.edit.put_sequence(after.clone())?;
        self.sequence_renamed(&before, &after)
    }
}

/// An action, the one that was taken out if it stands for that, and how many identities are declared before it.
struct Action<'a> {
    operation: &'a AlterTableOperation,
    taken: Option<&'a TableAction>,
    identities: usize,
    /// When it is carried out.
    pass: u8,
}

/// The actions in the order in which they are carried out.
fn in_order<'a>(operations: &'a [AlterTableOperation], taken: &'a [TableAction]) -> Vec<Action<'a>> {
    let (mut taken, mut identities) = (taken.iter(), 0);
    let mut all = Vec::with_capacity(operations.len());
    for operation in operations {
        let is_taken =
            matches!(operation, AlterTableOperation::ValidateConstraint { name } if name.value == TAKEN_ACTION);
        let taken = is_taken.then(|| taken.next()).flatten();
        all.push(Action { operation, taken, identities, pass: taken.map_or_else(|| pass(operation), pass_of_taken) });
        identities += declared_identities(operation);
    }
    all.sort_by_key(|action| action.pass);
    all
}

/// When primary keys and unique constraints are added.
const PASS_OF_KEYS: u8 = 4;

/// What goes goes first, then types are changed and columns added, and what is said of columns comes before what relies
/// on that.
fn pass(operation: &AlterTableOperation) -> u8 {
    use AlterColumnOperation as C;
    use AlterTableOperation as O;
    match operation {
        O::DropColumn { .. } | O::DropConstraint { .. } => 0,
        O::AlterColumn { op: C::DropDefault | C::DropNotNull, .. } => 0,
        O::AlterColumn { op: C::SetDataType { .. }, .. } => 1,
        O::AddColumn { .. } => 2,
        O::AlterColumn { op: C::SetNotNull, .. } => 3,
        O::AddConstraint { constraint, .. } if is_key(constraint) => PASS_OF_KEYS,
        O::ValidateConstraint { .. } => 6,
        _ => 5,
    }
}

fn pass_of_taken(action: &TableAction) -> u8 {
    match action {
        TableAction::Identity { alter: AlterIdentity::Drop { .. } | AlterIdentity::DropExpression { .. }, .. } => 0,
        _ => 6,
    }
}

const fn is_key(constraint: &TableConstraint) -> bool {
    use TableConstraint as T;
    matches!(constraint, T::PrimaryKey(_) | T::Unique(_) | T::PrimaryKeyUsingIndex(_) | T::UniqueUsingIndex(_))
}

/// How many identities an action declares.
fn declared_identities(operation: &AlterTableOperation) -> usize {
    let declares =
        |option: &&ColumnOptionDef| matches!(option.option, ColumnOption::Generated { generation_expr: None, .. });
    match operation {
        AlterTableOperation::AlterColumn { op: AlterColumnOperation::AddGenerated { .. }, .. } => 1,
        AlterTableOperation::AddColumn { column_def, .. } => column_def.options.iter().filter(declares).count(),
        _ => 0,
    }
}

/// `55000` if a column cannot take its values from a sequence.
fn check_becomes_identity(table: &Table, column: &Column) -> SqlResult<()> {
    let why = match column.default {
        Some(Default::Identity(..)) => "is already an identity column",
        Some(_) if column.not_null.is_declared() => "already has a default value",
        None if column.not_null.is_declared() => return Ok(()),
        _ => "must be declared NOT NULL before identity can be added",
    };
    let message = format!("column \"{}\" of relation \"{}\" {why}", column.name, table.name);
    Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
}

/// The columns whose values are computed from one.
fn computed_from(table: &Table, column: ColumnId) -> SqlResult<Vec<String>> {
    let mut found = Vec::new();
    for other in table.columns.iter().filter(|other| other.id != column) {
        if let Some(Default::Generated(text)) = &other.default
            && columns_of(text, table)?.contains(&column)
        {
            found.push(other.name.clone());
        }
    }
    Ok(found)
}

/// Whether a column is in the primary key, which may be one that the table is being given.
pub(super) fn in_primary_key(table: &Table, column: ColumnId) -> bool {
    match table.rekeying() {
        Some(rekeying) => rekeying.columns().any(|id| id == column),
        None => table.primary_columns().any(|id| id == column),
    }
}

/// The stored expressions of a table whose columns were renamed or have other types.
pub(super) fn rewrite_expressions(before: &Table, after: &mut Table, types: &KnownTypes) -> SqlResult<()> {
    let columns = after.columns.clone();
    let again = |text: &mut String| -> SqlResult<()> {
        *text = rewrite(text, &before.name, (&before.columns, &columns), types)?;
        Ok(())
    };
    for check in &mut after.checks {
        again(&mut check.expression)?;
    }
    for index in &mut after.indexes {
        index.predicate.iter_mut().try_for_each(&again)?;
        for key in &mut index.keys {
            if let KeyPart::Expression(text, _) = &mut key.part {
                again(text)?;
            }
        }
    }
    for column in &mut after.columns {
        if let Some(Default::Generated(text)) = &mut column.default {
            again(text)?;
        }
    }
    Ok(())
}
