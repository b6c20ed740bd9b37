//! Numbers of any precision.

use bigdecimal::BigDecimal;

/// `numeric`: an exact decimal number with its display scale, or one of PostgreSQL's special values.
#[derive(Clone, Debug, PartialEq)]
pub enum Numeric {
    /// A number; its scale is what is displayed.
    Finite(BigDecimal),
    /// `NaN`, which equals itself and sorts last.
    NaN,
    /// `Infinity`
    Infinity,
    /// `-Infinity`
    NegativeInfinity,
}
