//! Scalar expressions: from sqlparser's tree to a typed one ([`Binder`]), and that evaluated row by row ([`Expr::eval`]).
//!
//! Promises and invariants:
//! - Types, coercions, overflow, rounding, NULLs, errors, SQLSTATEs and messages are PostgreSQL 15's. Functions and
//!   operators are looked up in one table by PostgreSQL's rules (chapter 10 of its manual). What is missing is refused.
//! - A bound expression is complete: names are positions, literals are values, conversions are explicit. Evaluating it
//!   needs a row, the parameters and an [`EvalContext`], nothing else, and does not depend on the statement's text.
//! - Nothing here reads storage, clocks or randomness: those come through [`SystemFunctions`].
//! - [`Expr::to_sql`] prints text that binds to the same expression again: the form in which the catalog keeps
//!   defaults, checks, index expressions and predicates.
//! - Subqueries, aggregates and window functions are not scalar: [`needs_query`] finds them, and a binder's hook
//!   ([`Binder::hook`]) can put columns in their place.

mod binder;
mod category;
mod coerce;
mod context;
mod datatype;
mod eval;
mod expr;
mod functions;
mod named;
mod need;
mod objects;
mod params;
mod position;
mod print;
mod registry;
mod resolve;
mod rows;
mod scope;
mod visit;

#[cfg(test)]
mod tests;

pub use binder::Binder;
pub use category::{Category, category, common_type, is_preferred};
pub use coerce::input;
pub use context::{Constant, EvalContext, NoSession, SystemFunctions};
pub use datatype::sql_type;
pub use eval::cast;
pub use expr::{Call, Expr, Literal, Test};
pub(crate) use functions::all_matches;
pub(crate) use functions::path::query as query_path;
pub(crate) use named::{names_path_arguments, path_arguments};
pub use need::{Need, needs_query};
pub use objects::{print_value, read_value, shown_type};
pub use params::ParamTypes;
pub use position::position;
pub use print::quote_name;
pub(crate) use registry::DISTINCT_ROWS;
pub use registry::{Function, Volatility, aggregate_names};
pub use scope::{Scope, ScopeColumn};
