//! Expressions that the catalog stores as text, bound once and evaluated often.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{Column, ColumnId, Default, ObjectId, Table};
use annulus_relation::ops::Expressions;
use annulus_relation::value::{Env, KnownTypes, MadeTypes};
use annulus_relation::{SqlResult, SqlType, Value};

use super::insert::{next_value, sequence_of};
use crate::bind::{EvalContext, Expr};
use crate::ddl::bind_stored;
use crate::server::shared::{Need, Shared};

/// How many expressions are kept; when there are more, all are forgotten.
const MOST: usize = 10_000;

/// An expression bound over columns as they were then.
struct Bound {
    columns: Vec<(ColumnId, String, SqlType)>,
    made: Arc<MadeTypes>,
    expr: Rc<Expr>,
}

/// Stored expressions that were bound before.
#[derive(Default)]
pub(crate) struct StoredExpressions {
    bound: RefCell<HashMap<(ObjectId, String, SqlType), Bound>>,
}

impl StoredExpressions {
    /// An expression over a table's columns, of a type; `made` are the types that users have made.
    pub fn get(&self, table: &Table, text: &str, ty: &SqlType, made: &Arc<MadeTypes>) -> SqlResult<Rc<Expr>> {
        let key = (table.id, text.to_owned(), ty.clone());
        let same = |bound: &Bound| {
            let mut columns = table.columns.iter();
            (Arc::ptr_eq(&bound.made, made) || bound.made.is_empty() && made.is_empty())
                && bound.columns.len() == table.columns.len()
                && bound
                    .columns
                    .iter()
                    .zip(&mut columns)
                    .all(|((id, name, ty), column)| *id == column.id && *name == column.name && *ty == column.ty)
        };
        if let Some(bound) = self.bound.borrow().get(&key).filter(|bound| same(bound)) {
            return Ok(Rc::clone(&bound.expr));
        }
        let types = KnownTypes::new(Arc::clone(made), Arc::default());
        let expr = Rc::new(bind_stored(table, text, ty, &types)?);
        let columns = table.columns.iter().map(|column| (column.id, column.name.clone(), column.ty.clone())).collect();
        let mut all = self.bound.borrow_mut();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, Bound { columns, made: Arc::clone(made), expr: Rc::clone(&expr) });
        Ok(expr)
    }
}

/// Evaluates stored expressions for a statement.
#[derive(Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    pub stored: &'a StoredExpressions,
    pub env: &'a Env,
    pub shared: &'a Shared,
}

impl<'a> Evaluator<'a> {
    /// An expression, with the types of the catalog that the session sees.
    fn bound(&self, table: &Table, expression: &str, ty: &SqlType) -> SqlResult<Rc<Expr>> {
        self.stored.get(table, expression, ty, self.shared.catalog().made_types())
    }

    pub fn context(&self) -> EvalContext<'a> {
        EvalContext::new(self.env, self.shared)
    }
}

impl Expressions for Evaluator<'_> {
    fn eval(&self, table: &Table, expression: &str, ty: &SqlType, row: &[Value]) -> SqlResult<Value> {
        self.bound(table, expression, ty)?.eval(row, &[], &self.context())
    }

    fn convert(&self, table: &Table, expression: &str, ty: &SqlType, row: &[Value]) -> SqlResult<Value> {
        let env = Env { now: self.env.now, ..Env::default() };
        self.bound(table, expression, ty)?.eval(row, &[], &EvalContext::constant(&env))
    }

    fn default(&self, table: &Table, column: &Column) -> SqlResult<Value> {
        match &column.default {
            None | Some(Default::Generated(_)) => Ok(Value::Null),
            Some(Default::Identity(_, sequence)) => next_value(*sequence, &column.ty, self.shared),
            Some(Default::Expression(text)) => self.eval(table, text, &column.ty, &[]),
        }
    }

    fn expect(&self, table: &Table, rows: usize) -> SqlResult<()> {
        let (catalog, rows) = (self.shared.catalog(), rows as u64);
        let columns = table.extension().into_iter().flat_map(|extension| &extension.columns);
        let sequences = columns.filter_map(|column| sequence_of(column, &catalog));
        let mut lacking = sequences.filter(|sequence| !self.shared.sequences.has(&catalog, *sequence, rows));
        lacking.next().map_or(Ok(()), |sequence| self.shared.require(Need::Values(sequence, rows)))
    }
}
