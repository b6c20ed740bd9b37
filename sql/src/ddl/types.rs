//! Types that users make: enumerations.

use std::collections::BTreeSet;

use annulus_relation::catalog::{ColumnId, Default, Enumeration, ObjectId, Table, View, numbered_name};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::ObjectName;

use super::Definition;
use super::constraint::check_not_rekeyed;
use super::drop::Dependent;
use super::expression::columns_of;
use super::view_query::RenamedType;
use crate::bind::shown_type;
use crate::names::{Name, path_ids};
use crate::parse::{AlterType, Side};

/// The longest label, in bytes.
const LONGEST_LABEL: usize = 63;

impl Definition<'_> {
    pub(super) fn create_type(&mut self, name: &ObjectName, labels: &[String]) -> SqlResult<&'static str> {
        let name = self.name(name)?;
        let schema = self.target(&name, false)?;
        let id = self.new_type_id()?;
        let mut ty = Enumeration { id, schema, name: name.name, labels: Vec::new(), comment: None };
        let mut known = BTreeSet::new();
        for (place, label) in labels.iter().enumerate() {
            check_label(label)?;
            if !known.insert(label) {
                let message = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
                let detail = format!("Key (enumtypid, enumlabel)=({id}, {label}) already exists.");
                return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, message).detail(detail));
            }
            ty.insert(place, self.edit.new_id()?, label.clone())?;
        }
        self.edit.put_type(ty)?;
        Ok("CREATE TYPE")
    }

    /// The number of a new type, behind which comes that of its arrays' type.
    fn new_type_id(&mut self) -> SqlResult<ObjectId> {
        let id = self.edit.new_id()?;
        self.edit.new_id()?;
        Ok(id)
    }

    /// The type of a name, if there is one that users have made.
    pub(super) fn find_type(&self, name: &Name) -> SqlResult<Option<Enumeration>> {
        let catalog = self.catalog();
        let found = match &name.schema {
            Some(schema) => catalog.type_named(self.names().schema(schema, name.position)?.id, &name.name),
            None => path_ids(catalog, &self.path).iter().find_map(|schema| catalog.type_named(*schema, &name.name)),
        };
        Ok(found.map(|ty| Enumeration::clone(ty)))
    }

    fn get_type(&self, name: &ObjectName) -> SqlResult<Enumeration> {
        let name = self.name(name)?;
        let schema_is_own = name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        if schema_is_own
            && let Ok(own) = SqlType::parse_name(&name.name)
            && own.catalog_name() == name.name
        {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{} is not an enum", own.name())));
        }
        let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        self.find_type(&name)?.ok_or_else(missing)
    }

    pub(super) fn alter_type(&mut self, name: &ObjectName, change: &AlterType) -> SqlResult<&'static str> {
        let mut ty = self.get_type(name)?;
        let before = ty.clone();
        match change {
            AlterType::Owner => return Ok("ALTER TYPE"),
            AlterType::AddValue { label, if_not_exists, side } => {
                if !self.add_value(&mut ty, label, *if_not_exists, side.as_ref())? {
                    return Ok("ALTER TYPE");
                }
            }
            AlterType::RenameValue(from, to) => self.rename_value(&mut ty, from, to)?,
            AlterType::Rename(to) => ty.name.clone_from(to),
            AlterType::SetSchema(schema) => {
                ty.schema = self.names().schema(schema, None)?.id;
                if ty.schema == before.schema {
                    return Ok("ALTER TYPE");
                }
                if self.catalog().is_temporary(before.schema) || self.catalog().is_temporary(ty.schema) {
                    let message = "cannot move objects into or out of temporary schemas";
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                }
            }
        }
        self.follow_type(&before, &ty)?;
        self.edit.put_type(ty)?;
        Ok("ALTER TYPE")
    }

    /// Adds a label, unless it is there and may be.
    fn add_value(
        &mut self,
        ty: &mut Enumeration,
        label: &str,
        if_not_exists: bool,
        side: Option<&(Side, String)>,
    ) -> SqlResult<bool> {
        check_label(label)?;
        if ty.labels.iter().any(|other| other.name == label) {
            let message = format!("enum label \"{label}\" already exists");
            if if_not_exists {
                self.skipped(SqlState::DUPLICATE_OBJECT, &message);
                return Ok(false);
            }
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let place = match side {
            None => ty.labels.len(),
            Some((Side::Before, other)) => place_of(ty, other)?,
            Some((Side::After, other)) => place_of(ty, other)? + 1,
        };
        ty.insert(place, self.edit.new_id()?, label.to_owned())?;
        Ok(true)
    }

    fn rename_value(&self, ty: &mut Enumeration, from: &str, to: &str) -> SqlResult<()> {
        check_label(to)?;
        let place = place_of(ty, from)?;
        if ty.labels.iter().any(|label| label.name == to) {
            let message = format!("enum label \"{to}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        // The queries of views are kept as they were written.
        let written = format!("'{}'", from.replace('\'', "''"));
        let names = |view: &&std::sync::Arc<View>| view.query.contains(&written) && self.may_use(view, ty.id);
        if let Some(view) = self.catalog().views().find(names) {
            return Err(SqlError::unsupported(format!("renaming a value that the query of view {} names", view.name))
                .hint("Drop the view first, and create it again afterwards."));
        }
        to.clone_into(&mut ty.labels[place].name);
        Ok(())
    }

    /// Whether a view, or what it reads, uses a type.
    fn may_use(&self, view: &View, ty: ObjectId) -> bool {
        let catalog = self.catalog();
        let reads = |id: &ObjectId| {
            let table = catalog.table_by_id(*id).is_some_and(|table| table.uses_type(ty));
            table || catalog.view_by_id(*id).is_some_and(|view| view.uses_type(ty))
        };
        view.uses_type(ty) || view.reads.iter().any(reads)
    }

    /// Views that name a type follow when it has another name, or another schema.
    fn follow_type(&mut self, before: &Enumeration, after: &Enumeration) -> SqlResult<()> {
        if (before.schema, &before.name) == (after.schema, &after.name) {
            return Ok(());
        }
        let (schema, to_schema) = (self.schema_name(before.schema), self.schema_name(after.schema));
        self.follow_type_names(
            &RenamedType { schema: &schema, name: Some(&before.name), to_schema: &to_schema, to_name: &after.name },
            |id| id == before.id,
        )
    }

    pub(super) fn comment_type(&mut self, name: &ObjectName, comment: Option<String>) -> SqlResult<()> {
        let ty = self.get_type(name)?;
        self.edit.put_type(Enumeration { comment, ..ty })
    }

    pub(super) fn drop_types(
        &mut self,
        if_exists: bool,
        names: &[ObjectName],
        cascade: bool,
    ) -> SqlResult<&'static str> {
        let mut found = Vec::new();
        for name in names {
            let name = self.name(name)?;
            let known = name.schema.as_deref().is_none_or(|schema| self.names().schema(schema, None).is_ok());
            match self.find_type(&name) {
                Ok(Some(ty)) => found.push(ty.id),
                _ if if_exists => {
                    let missing = name.schema.as_ref().filter(|_| !known).map(|schema| format!("schema \"{schema}\""));
                    let missing = missing.unwrap_or_else(|| format!("type \"{name}\""));
                    self.notice(format!("{missing} does not exist, skipping"));
                }
                Ok(None) => {
                    if SqlType::parse_name(&name.name).is_ok() && name.schema.is_none() {
                        let message =
                            format!("cannot drop type {} because it is required by the database system", name.name);
                        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
                    }
                    let message = format!("type \"{name}\" does not exist");
                    return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                }
                Err(error) => return Err(error),
            }
        }
        if cascade {
            // One notice tells of all that goes.
            let mut users = Vec::new();
            for id in &found {
                users.extend(self.users_of_type(*id, &[])?);
            }
            users.sort();
            users.dedup();
            self.settle("", users, true, &[])?;
        }
        for id in found {
            self.drop_type(id, &[], cascade)?;
        }
        Ok("DROP TYPE")
    }

    pub(super) fn drop_type(&mut self, id: ObjectId, dropped: &[ObjectId], cascade: bool) -> SqlResult<()> {
        let users = self.users_of_type(id, dropped)?;
        let ty = self.env.types.numbered(id).map(|ty| shown_type(&ty, &self.env.types)).unwrap_or_default();
        self.settle(&format!("type {ty}"), users, cascade, dropped)?;
        self.edit.drop_type(id);
        Ok(())
    }

    /// Columns of a type, what names it in its expression, and views.
    fn users_of_type(&self, id: ObjectId, dropped: &[ObjectId]) -> SqlResult<Vec<Dependent>> {
        let catalog = self.catalog();
        let stays = |object: ObjectId| !dropped.contains(&object);
        let mut users = Vec::new();
        for table in catalog.tables().filter(|table| stays(table.id) && table.uses_type(id)) {
            // What it is being given may be of the type, too.
            check_not_rekeyed(table)?;
            users.extend(users_in_table(table, id)?);
        }
        // A view of a column that goes is gone before it.
        let loses =
            |read: &ObjectId| users.iter().any(|user| matches!(user, Dependent::Column(table, _) if table == read));
        let goes = |view: &View| view.uses_type(id) || view.reads.iter().any(loses);
        let views = catalog.views().filter(|view| stays(view.id) && goes(view));
        let views: Vec<Dependent> = views.map(|view| Dependent::View(view.id)).collect();
        Ok(users.into_iter().chain(views).collect())
    }
}

/// What of a table uses a type.
fn users_in_table(table: &Table, id: ObjectId) -> SqlResult<Vec<Dependent>> {
    let written = numbered_name(id);
    let is = |ty: &SqlType| ty.enumeration().is_some_and(|ty| ty.number() == id);
    let gone: Vec<ColumnId> = table
        .columns
        .iter()
        .filter(|column| {
            let computed = matches!(&column.default, Some(Default::Generated(text)) if text.contains(&written));
            is(&column.ty) || computed
        })
        .map(|column| column.id)
        .collect();
    let mut users: Vec<Dependent> = gone.iter().map(|column| Dependent::Column(table.id, *column)).collect();
    // What is about such a column goes with it.
    let goes_along = |text: &str| columns_of(text, table).map(|columns| columns.iter().any(|id| gone.contains(id)));
    for column in table.columns.iter().filter(|column| !gone.contains(&column.id)) {
        if matches!(&column.default, Some(Default::Expression(text)) if text.contains(&written)) {
            users.push(Dependent::Default(table.id, column.id));
        }
    }
    for check in table.checks.iter().filter(|check| check.expression.contains(&written)) {
        if !goes_along(&check.expression)? {
            users.push(Dependent::Check(table.id, check.name.clone()));
        }
    }
    for index in &table.indexes {
        if index.texts().any(|text| text.contains(&written))
            && !super::expression::columns_of_index(index, table)?.iter().any(|id| gone.contains(id))
        {
            users.push(Dependent::Index(table.id, index.id));
        }
    }
    Ok(users)
}

/// Where a label stands.
fn place_of(ty: &Enumeration, label: &str) -> SqlResult<usize> {
    ty.labels.iter().position(|other| other.name == label).ok_or_else(|| {
        let message = format!("\"{label}\" is not an existing enum label");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    })
}

fn check_label(label: &str) -> SqlResult<()> {
    if label.len() <= LONGEST_LABEL {
        return Ok(());
    }
    let message = format!("invalid enum label \"{label}\"");
    let error = SqlError::new(SqlState::INVALID_NAME, message);
    Err(error.detail(format!("Labels must be {LONGEST_LABEL} bytes or less.")))
}
