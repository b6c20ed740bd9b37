//! Rows as values: JSON objects of their fields, of the type `record`, which only functions take that make JSON of them.

use annulus_relation::{SqlError, SqlType, Value};

use super::expr::{Call, Expr, Test};
use super::registry;

/// The function that makes a row: an array of the fields' names, then the fields. No call can be written that means it.
pub(super) const ROW: &str = "row";

/// Functions that a row can be given to.
const TAKERS: &[&str] = &[
    ROW,
    "array_to_json",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// Whether a function takes rows.
pub(super) fn takes_rows(function: &str) -> bool {
    TAKERS.contains(&function)
}

/// What is said where a row cannot stand.
pub(super) fn refused() -> SqlError {
    SqlError::unsupported("a row as a value").hint("Functions that make JSON take rows, and so does count.")
}

/// The names of a row's fields that `ROW(...)` makes.
pub(super) fn field_names(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("f{number}"))
}

/// The first argument of [`ROW`].
fn names_argument(names: impl IntoIterator<Item = String>) -> Expr {
    let names: Vec<Value> = names.into_iter().map(Value::text).collect();
    Expr::literal(Value::Array(names.into()), SqlType::Text.array())
}

impl Expr {
    /// A row of fields with names.
    #[must_use]
    pub fn row(fields: Vec<(String, Self)>) -> Self {
        let (names, exprs): (Vec<String>, Vec<Self>) = fields.into_iter().unzip();
        let args = std::iter::once(names_argument(names)).chain(exprs).collect();
        match registry::named(ROW).first() {
            Some(function) => Self::Call(Box::new(Call { function, args, ty: SqlType::Record })),
            None => Self::null(SqlType::Record),
        }
    }

    /// The fields of a row that it makes; those of one that may not be there are NULL then.
    pub(super) fn fields(&self) -> Vec<&Self> {
        match self {
            Self::Call(call) if call.function.name == ROW => call.args.iter().skip(1).collect(),
            Self::Case { arms, .. } => arms.first().map(|(_, row)| row.fields()).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Whether it makes a row.
    #[must_use]
    pub fn makes_rows(&self) -> bool {
        self.calls(ROW)
    }

    /// The same where another expression is not NULL; else NULL.
    #[must_use]
    pub fn present(self, witness: Self) -> Self {
        let ty = self.ty().clone();
        let known = Self::Is { arg: Box::new(witness), test: Test::Null, negated: true };
        Self::Case { operand: None, arms: vec![(known, self)], otherwise: Box::new(Self::null(ty.clone())), ty }
    }
}
