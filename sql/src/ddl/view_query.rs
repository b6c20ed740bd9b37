//! The relations that the queries of views name, and how the queries follow when those get other names.

use std::ops::ControlFlow;

use annulus_relation::catalog::{ColumnId, ObjectId, View, is_temporary};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::Database;
use sqlparser::ast::{
    self, DataType, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::Definition;
use crate::bind::{ParamTypes, quote_name};
use crate::parse::parse_query;
use crate::statement::Work;

/// An identifier, in quotes where it needs them.
pub(super) fn ident(name: &str) -> Ident {
    match quote_name(name) == name {
        true => Ident::new(name),
        false => Ident::with_quote('"', name),
    }
}

/// Shows every relation that a query names in `FROM`, other than its common table expressions, with its alias.
pub(super) fn each_relation<F>(query: &mut ast::Query, visit: F) -> SqlResult<()>
where
    F: FnMut(&mut ObjectName, &mut Option<TableAlias>) -> SqlResult<()>,
{
    match VisitMut::visit(query, &mut Relations { commons: Vec::new(), visit }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The common table expressions of a query, and how many of them are known where the visitor is: without `RECURSIVE`,
/// each knows those before it.
struct Commons {
    names: Vec<String>,
    known: usize,
}

struct Relations<F> {
    /// Those of the queries around, the innermost last.
    commons: Vec<Commons>,
    visit: F,
}

impl<F> VisitorMut for Relations<F>
where
    F: FnMut(&mut ObjectName, &mut Option<TableAlias>) -> SqlResult<()>,
{
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<SqlError> {
        let with = query.with.iter();
        let names: Vec<String> =
            with.flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()).collect();
        let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        self.commons.push(Commons { known: if recursive { names.len() } else { 0 }, names });
        match select_tables(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<SqlError> {
        self.commons.pop();
        // What WITH names stands before everything else in the query around.
        if let Some(around) = self.commons.last_mut() {
            around.known = around.names.len().min(around.known + 1);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        if let [ObjectNamePart::Identifier(plain)] = name.0.as_slice()
            && self.commons.iter().any(|around| around.names[..around.known].contains(&plain.value))
        {
            return ControlFlow::Continue(());
        }
        match (self.visit)(name, alias) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `TABLE name` as `SELECT * FROM name`, which says the same and can be given an alias.
fn select_tables(body: &mut ast::SetExpr) -> SqlResult<()> {
    match body {
        ast::SetExpr::Table(table) => {
            let names = table.schema_name.iter().chain(&table.table_name);
            let name = names.map(|name| quote_name(name)).collect::<Vec<_>>().join(".");
            let select = parse_query(&format!("SELECT * FROM {name}"))?;
            *body = *select.body;
            Ok(())
        }
        ast::SetExpr::SetOperation { left, right, .. } => {
            select_tables(left)?;
            select_tables(right)
        }
        _ => Ok(()),
    }
}

/// Shows every type that a query names, other than by PostgreSQL's own syntax.
pub(super) fn each_type<F>(query: &mut ast::Query, visit: F) -> SqlResult<()>
where
    F: FnMut(&mut ObjectName) -> SqlResult<()>,
{
    match VisitMut::visit(query, &mut Types(visit)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Types<F>(F);

impl<F> Types<F>
where
    F: FnMut(&mut ObjectName) -> SqlResult<()>,
{
    fn name(&mut self, ty: &mut DataType) -> ControlFlow<SqlError> {
        use ast::ArrayElemTypeDef::{AngleBracket, SquareBracket};
        let done = match ty {
            DataType::Array(SquareBracket(element, _) | AngleBracket(element)) => return self.name(element),
            DataType::Custom(name, _) => (self.0)(name),
            _ => Ok(()),
        };
        done.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

impl<F> VisitorMut for Types<F>
where
    F: FnMut(&mut ObjectName) -> SqlResult<()>,
{
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<SqlError> {
        match expr {
            ast::Expr::Cast { data_type, .. } => self.name(data_type),
            ast::Expr::TypedString(typed) => self.name(&mut typed.data_type),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        let (TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        alias.columns.iter_mut().filter_map(|column| column.data_type.as_mut()).try_for_each(|ty| self.name(ty))
    }
}

/// What became of types that views name.
pub(super) struct RenamedType<'a> {
    pub schema: &'a str,
    /// `None`: all of the schema.
    pub name: Option<&'a str>,
    pub to_schema: &'a str,
    pub to_name: &'a str,
}

impl RenamedType<'_> {
    /// A view's query that says the same as before.
    fn follow(&self, view: &View) -> SqlResult<String> {
        let mut query = parse_query(&view.query)?;
        each_type(&mut query, |name| {
            let parts: Vec<&str> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
            let [schema, own] = parts.as_slice() else { return Ok(()) };
            if *schema == self.schema && self.name.is_none_or(|name| name == *own) {
                let own = if self.name.is_some() { self.to_name } else { own };
                *name = ObjectName::from(vec![ident(self.to_schema), ident(own)]);
            }
            Ok(())
        })?;
        Ok(query.to_string())
    }
}

/// What became of relations that views read.
pub(super) struct Renamed<'a> {
    pub schema: &'a str,
    /// `None`: all of the schema.
    pub name: Option<&'a str>,
    pub to_schema: &'a str,
    pub to_name: Option<&'a str>,
    /// The relation's number, and what its columns were called, if one of them is called otherwise now.
    pub columns: Option<(ObjectId, Vec<(ColumnId, String)>)>,
}

impl Renamed<'_> {
    /// Whether a name begins with the relation's, and its schema.
    fn is_named<'i>(&self, mut parts: impl Iterator<Item = Option<&'i Ident>>) -> bool {
        let mut next = || parts.next().flatten().map(|ident| ident.value.as_str());
        next() == Some(self.schema) && next().is_some_and(|found| self.name.is_none_or(|name| name == found))
    }

    /// Whether its columns have to be named by an alias: their names in the query stay as they are.
    fn takes_alias(&self) -> bool {
        self.to_name.is_some() || self.columns.is_some()
    }

    /// A view's query that says the same as before; `None` if it cannot.
    fn follow(&self, view: &View) -> SqlResult<Option<String>> {
        let mut query = parse_query(&view.query)?;
        let mut namesakes = 0;
        each_relation(&mut query, |name, alias| {
            let own = self.is_named(name.0.iter().map(ObjectNamePart::as_ident));
            let known = match alias {
                Some(alias) => Some(&alias.name),
                None => name.0.last().and_then(ObjectNamePart::as_ident),
            };
            namesakes += usize::from(known.is_some_and(|known| self.name == Some(known.value.as_str())));
            if own && name.0.len() == 2 {
                self.rename(view, name, alias);
            }
            Ok(())
        })?;
        let mut columns = QualifiedColumns { renamed: self, found: false };
        // It never breaks off.
        let _ = VisitMut::visit(&mut *query, &mut columns);
        // Names without the schema might mean another relation.
        let is_unclear = columns.found && self.takes_alias() && namesakes > 1;
        Ok((!is_unclear).then(|| query.to_string()))
    }

    /// A relation by its new name, under the alias that its columns are named by.
    fn rename(&self, view: &View, name: &mut ObjectName, alias: &mut Option<TableAlias>) {
        let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(relation)] = name.0.as_mut_slice() else {
            return;
        };
        *schema = ident(self.to_schema);
        if self.takes_alias() {
            let alias = alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: relation.clone(),
                columns: Vec::new(),
                at: None,
            });
            if let Some((id, columns)) = &self.columns {
                let last = view.knows(*id).unwrap_or(ColumnId::MAX);
                let known = columns.iter().filter(|(column, _)| *column <= last).skip(alias.columns.len());
                let named = known.map(|(_, name)| ast::TableAliasColumnDef { name: ident(name), data_type: None });
                let named: Vec<_> = named.collect();
                alias.columns.extend(named);
            }
        }
        if let Some(to) = self.to_name {
            *relation = ident(to);
        }
    }
}

/// Columns that are named with schema and relation.
struct QualifiedColumns<'a> {
    renamed: &'a Renamed<'a>,
    found: bool,
}

impl QualifiedColumns<'_> {
    /// What a name becomes that has so many parts behind the relation's.
    fn name(&mut self, parts: &mut Vec<Ident>, behind: usize) {
        if parts.len() != 2 + behind || !self.renamed.is_named(parts.iter().map(Some)) {
            return;
        }
        self.found = true;
        if self.renamed.takes_alias() {
            parts.remove(0);
        } else if let Some(schema) = parts.first_mut() {
            *schema = ident(self.renamed.to_schema);
        }
    }

    fn all_columns(&mut self, name: &mut ObjectName) {
        let mut parts: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
        self.name(&mut parts, 0);
        *name = ObjectName::from(parts);
    }
}

impl VisitorMut for QualifiedColumns<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let ast::SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
            {
                self.all_columns(name);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::CompoundIdentifier(parts) => self.name(parts, 1),
            ast::Expr::Function(ast::Function { args: ast::FunctionArguments::List(list), .. }) => {
                for argument in &mut list.args {
                    let (ast::FunctionArg::Unnamed(value)
                    | ast::FunctionArg::Named { arg: value, .. }
                    | ast::FunctionArg::ExprNamed { arg: value, .. }) = argument;
                    if let ast::FunctionArgExpr::QualifiedWildcard(name) = value {
                        self.all_columns(name);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Definition<'_> {
    /// The name of a schema.
    pub(super) fn schema_name(&self, id: ObjectId) -> String {
        self.catalog().schema_by_id(id).map(|schema| schema.name.clone()).unwrap_or_default()
    }

    /// Views follow: what they read, be it a relation or all of a schema, has other names now.
    pub(super) fn follow_views(&mut self, renamed: &Renamed<'_>, is_read: impl Fn(ObjectId) -> bool) -> SqlResult<()> {
        let readers = self.catalog().views().filter(|view| view.reads.iter().any(|read| is_read(*read)));
        let readers: Vec<View> = readers.map(|view| View::clone(view)).collect();
        for view in readers {
            let query = renamed.follow(&view)?.ok_or_else(|| cannot_follow(&view.name))?;
            self.followed.push(view.id);
            self.edit.put_view(View { query, ..view })?;
        }
        Ok(())
    }

    /// Views follow: the types that they name have other names now.
    pub(super) fn follow_type_names(
        &mut self,
        renamed: &RenamedType<'_>,
        is: impl Fn(ObjectId) -> bool,
    ) -> SqlResult<()> {
        let users = self.catalog().views().filter(|view| view.reads.iter().any(|read| is(*read)));
        let users: Vec<View> = users.map(|view| View::clone(view)).collect();
        for view in users {
            let query = renamed.follow(&view)?;
            self.followed.push(view.id);
            self.edit.put_view(View { query, ..view })?;
        }
        Ok(())
    }

    /// Views follow a relation that has, or will have, another name or schema.
    pub(super) fn follow_relation(
        &mut self,
        id: ObjectId,
        from: (ObjectId, &str),
        to: (ObjectId, &str),
    ) -> SqlResult<()> {
        let (schema, to_schema) = (self.schema_name(from.0), self.schema_name(to.0));
        let to_name = (from.1 != to.1).then_some(to.1);
        let renamed = Renamed { schema: &schema, name: Some(from.1), to_schema: &to_schema, to_name, columns: None };
        self.follow_views(&renamed, |read| read == id)
    }

    /// Views follow a relation one of whose columns gets another name; what they were called until now.
    pub(super) fn follow_columns(
        &mut self,
        id: ObjectId,
        (schema, name): (ObjectId, &str),
        columns: Vec<(ColumnId, String)>,
    ) -> SqlResult<()> {
        let schema = self.schema_name(schema);
        let (name, columns) = (Some(name), Some((id, columns)));
        let renamed = Renamed { schema: &schema, name, to_schema: &schema, to_name: None, columns };
        self.follow_views(&renamed, |read| read == id)
    }

    /// A view gets another name.
    pub(super) fn put_renamed_view(&mut self, view: View, to: &str) -> SqlResult<()> {
        self.follow_relation(view.id, (view.schema, &view.name), (view.schema, to))?;
        self.edit.put_view(View { name: to.to_owned(), ..view })
    }
}

/// `2BP01`
fn cannot_follow(view: &str) -> SqlError {
    let message = "cannot rename this because other objects depend on it";
    SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .detail(format!("the query of view {view} would not mean the same"))
        .hint("Drop the view first, and create it again afterwards.")
}

/// Views whose queries were written anew have to be understood.
pub(super) fn check_followed<D: Database>(work: &Work<'_, D>, views: &[ObjectId]) -> SqlResult<()> {
    let scope = work.shared.scope(&work.active.catalog, &work.active.env);
    for view in views {
        let Some(view) = work.active.catalog.view_by_id(*view) else { continue };
        let Some(schema) = work.active.catalog.schema_by_id(view.schema) else { continue };
        if is_temporary(&schema.name) {
            // It may be another session's.
            continue;
        }
        let query = parse_query(&format!("SELECT * FROM {}.{}", quote_name(&schema.name), quote_name(&view.name)))?;
        let statement = crate::query::Statement { query: &query, text: None, targets: &[], given: &[] };
        let planned = work.server.engine.plan(statement, &scope, &ParamTypes::new());
        planned.map_err(|_| cannot_follow(&view.name))?;
    }
    Ok(())
}
