//! What of a row is given to the client: select lists and `RETURNING`.

use annulus_relation::error::SqlState;
use annulus_relation::{Row, SqlError, SqlResult, SqlType, Value};
use sqlparser::ast::{Expr as Ast, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions};

use super::target::Target;
use crate::bind::{Binder, EvalContext, Expr, ScopeColumn};
use crate::query::title;
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
                SelectItem::UnnamedExpr(expr) => this.add(expr, title(expr), target, binder)?,
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
