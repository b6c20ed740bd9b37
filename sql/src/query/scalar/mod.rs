//! Scalar expressions in DataFusion's plans.
//!
//! What DataFusion must see through to push filters down, join by hashing and choose indexes (columns, literals,
//! comparisons, `AND`, `OR`, `NOT`, `IS NULL`, `IN` a list) becomes its own expressions, where arrays compare as values
//! do ([`lower`]). All else stays one bound expression, evaluated row by row as PostgreSQL would ([`RowFunction`]).

mod key;
mod list;
mod lower;
mod row;

use std::fmt;
use std::sync::Arc;

use annulus_relation::Value;
use annulus_relation::value::Env;

use crate::bind::{EvalContext, SystemFunctions};
use crate::query::guard::Guard;

pub(super) use key::key;
pub(super) use list::{fields_of, list_of};
pub(super) use lower::{Lowering, is_native, literal};
pub(super) use row::RowFunction;

/// What a query's expressions are evaluated in; shared by all of its threads.
pub(super) struct Context {
    /// Settings.
    pub env: Arc<Env>,
    /// The session.
    pub functions: Arc<dyn SystemFunctions>,
    /// The parameters' values; `None` while a query is only described.
    pub params: Option<Vec<Value>>,
    pub guard: Guard,
}

impl Context {
    /// The same as expressions take it.
    pub fn eval(&self) -> EvalContext<'_> {
        EvalContext::new(&self.env, self.functions.as_ref())
    }

    /// The parameters' values.
    pub fn params(&self) -> &[Value] {
        self.params.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}
