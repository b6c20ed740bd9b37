//! What of a row is given to the client: select lists and `RETURNING`.

use annulus_relation::error::SqlState;
use annulus_relation::{Row, SqlError, SqlResult, SqlType, Value};
use sqlparser::ast::{
    AccessExpr, Expr as Ast, FunctionArguments, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::target::Target;
use crate::bind::{Binder, EvalContext, Expr, ScopeColumn};
use crate::session::answer::Column;

/// Expressions over a row, and the columns that they make.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub exprs: Vec<Expr>,
    pub columns: Vec<Column>,
}

impl Projection {
    /// The items of a list, over a target that may be missing. The binder's scope begins with the target's columns.
    pub fn new(items: &[SelectItem], target: Option<&Target>, binder: &mut Binder<'_>) -> SqlResult<Self> {
        let mut this = Self { exprs: Vec::new(), columns: Vec::new() };
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => this.add(expr, output_name(expr), target, binder)?,
                SelectItem::ExprWithAlias { expr, alias } => this.add(expr, alias.value.clone(), target, binder)?,
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    if target.is_none() {
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                    }
                    this.add_all(binder.scope().columns().iter(), target);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain(options)?;
                    let table = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
                    let of_table = |column: &&ScopeColumn| column.table.as_deref() == table;
                    let given = this.add_all(binder.scope().columns().iter().filter(of_table), target);
                    if given == 0 && target.is_none_or(|target| Some(target.name.as_str()) != table) {
                        let message = format!("missing FROM-clause entry for table \"{name}\"");
                        return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                    }
                }
                other => return Err(SqlError::unsupported(format!("{other} in a list of columns"))),
            }
        }
        Ok(this)
    }

    fn add(&mut self, expr: &Ast, name: String, target: Option<&Target>, binder: &mut Binder<'_>) -> SqlResult<()> {
        let bound = binder.bind(expr)?;
        let ty = bound.ty().clone();
        let column = match &bound {
            Expr::Column { index, .. } => column_of(name, ty, *index, target),
            _ => Column::new(name, ty),
        };
        self.columns.push(column);
        self.exprs.push(bound);
        Ok(())
    }

    /// Columns as they are; how many.
    fn add_all<'s>(&mut self, columns: impl Iterator<Item = &'s ScopeColumn>, target: Option<&Target>) -> usize {
        let before = self.columns.len();
        for column in columns {
            self.columns.push(column_of(column.name.clone(), column.ty.clone(), column.index, target));
            self.exprs.push(Expr::column(column.index, column.ty.clone()));
        }
        self.columns.len() - before
    }

    /// What it gives for a row.
    pub fn apply(&self, row: &[Value], params: &[Value], context: &EvalContext<'_>) -> SqlResult<Row> {
        self.exprs.iter().map(|expr| expr.eval(row, params, context)).collect()
    }
}

/// An output column that is a column of the row, perhaps one of the target.
fn column_of(name: String, ty: SqlType, index: usize, target: Option<&Target>) -> Column {
    let mut column = Column::new(name, ty);
    if let Some((target, from)) = target.and_then(|target| Some((target, target.table.columns.get(index)?))) {
        (column.table, column.attribute) = (target.table.id, i16::try_from(from.id).unwrap_or(0));
    }
    column
}

fn plain(options: &WildcardAdditionalOptions) -> SqlResult<()> {
    let more = options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    if more { Err(SqlError::unsupported("* with options")) } else { Ok(()) }
}

/// The name of a column that is given none.
///
/// Source: PostgreSQL 15, `FigureColname`.
pub(crate) fn output_name(expr: &Ast) -> String {
    named(expr).unwrap_or_else(|| "?column?".to_owned())
}

fn named(expr: &Ast) -> Option<String> {
    Some(match expr {
        Ast::Identifier(ident) => ident.value.clone(),
        Ast::CompoundIdentifier(parts) => parts.last()?.value.clone(),
        Ast::Nested(inner) => return named(inner),
        Ast::Collate { expr, .. } => return named(expr),
        Ast::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Ast::Identifier(ident)) => Some(ident.value.clone()),
                _ => None,
            });
            return field.or_else(|| named(root));
        }
        Ast::Function(function) => match &function.args {
            FunctionArguments::Subquery(_) => function.name.0.last()?.as_ident()?.value.clone(),
            _ => function.name.0.last()?.as_ident()?.value.clone(),
        },
        Ast::Cast { expr, data_type, .. } => {
            named(expr).or_else(|| crate::bind::sql_type(data_type).ok().map(|ty| ty.catalog_name()))?
        }
        Ast::TypedString(typed) => crate::bind::sql_type(&typed.data_type).ok()?.catalog_name(),
        Ast::Interval(_) => "interval".to_owned(),
        Ast::Case { else_result, .. } => else_result.as_deref().and_then(named).unwrap_or_else(|| "case".to_owned()),
        Ast::Array(_) => "array".to_owned(),
        Ast::Extract { .. } => "extract".to_owned(),
        Ast::Ceil { .. } => "ceil".to_owned(),
        Ast::Floor { .. } => "floor".to_owned(),
        Ast::Position { .. } => "position".to_owned(),
        Ast::Substring { .. } => "substring".to_owned(),
        Ast::Trim { .. } => "btrim".to_owned(),
        Ast::Overlay { .. } => "overlay".to_owned(),
        Ast::AtTimeZone { .. } => "timezone".to_owned(),
        Ast::Exists { .. } => "exists".to_owned(),
        Ast::Value(value) if matches!(value.value, sqlparser::ast::Value::Boolean(_)) => "bool".to_owned(),
        _ => return None,
    })
}
