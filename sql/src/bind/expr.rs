//! The typed tree of an expression.

use std::hash::{Hash, Hasher};

use annulus_relation::{SqlType, Value};

use super::registry::{Function, Volatility};

/// An expression: what to compute from a row and the parameters, and the type of the result.
///
/// What PostgreSQL defines by rewriting is rewritten: `BETWEEN` is two comparisons, `IN` a list is `= ANY` an array,
/// row comparisons are comparisons of their fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A column of the row.
    Column {
        /// Where the row has it.
        index: usize,
        /// Its type.
        ty: SqlType,
    },
    /// A parameter; `$1` is 0.
    Param {
        /// Which one.
        index: usize,
        /// Its type.
        ty: SqlType,
    },
    /// A value.
    Const(Literal),
    /// A function or operator applied to its arguments.
    Call(Box<Call>),
    /// `AND` of two or more.
    And(Vec<Expr>),
    /// `OR` of two or more.
    Or(Vec<Expr>),
    /// `NOT`
    Not(Box<Expr>),
    /// `IS [NOT] NULL`, `IS [NOT] TRUE` ...
    Is {
        /// What is tested.
        arg: Box<Expr>,
        /// For what.
        test: Test,
        /// `NOT`
        negated: bool,
    },
    /// `IS [NOT] DISTINCT FROM`; the call is an equality of two arguments.
    Distinct {
        /// The equality.
        equal: Box<Call>,
        /// `NOT`
        negated: bool,
    },
    /// `left op ANY (array)`, `left op ALL (array)`, `left IN (...)`, `left NOT IN (...)`.
    Quantified {
        /// The operator, which gives a boolean.
        operator: &'static Function,
        /// `ALL`
        all: bool,
        /// The left operand.
        left: Box<Expr>,
        /// The array of right operands.
        array: Box<Expr>,
    },
    /// `CASE`
    Case {
        /// The operand of `CASE operand WHEN value`: conditions read it as [`Expr::CaseOperand`].
        operand: Option<Box<Expr>>,
        /// Conditions and results, in order.
        arms: Vec<(Expr, Expr)>,
        /// `ELSE`, or NULL.
        otherwise: Box<Expr>,
        /// The type of all results.
        ty: SqlType,
    },
    /// The operand of the innermost `CASE` around.
    CaseOperand {
        /// Its type.
        ty: SqlType,
    },
    /// `COALESCE`
    Coalesce {
        /// What to look at, in order.
        args: Vec<Expr>,
        /// The type of them all.
        ty: SqlType,
    },
    /// `GREATEST` or `LEAST`: NULLs are passed over.
    Extreme {
        /// `GREATEST`
        greatest: bool,
        /// What to compare.
        args: Vec<Expr>,
        /// The type of them all.
        ty: SqlType,
    },
    /// `NULLIF`; the call is an equality of two arguments.
    NullIf {
        /// The equality; its first argument is the result unless it is true.
        equal: Box<Call>,
    },
    /// A conversion. Conversions that change nothing but the type's name (`varchar` to `text`) are kept, for the type;
    /// [`Expr::bare`] looks through them.
    Cast {
        /// What is converted.
        arg: Box<Expr>,
        /// To what.
        ty: SqlType,
        /// Whether it was asked for (`CAST`, `::`): what does not fit is cut then.
        explicit: bool,
    },
    /// `ARRAY[...]`
    Array {
        /// The elements.
        elements: Vec<Expr>,
        /// The array's type.
        ty: SqlType,
    },
    /// `array[index]`
    Element {
        /// The array.
        array: Box<Expr>,
        /// The index, an `integer`.
        index: Box<Expr>,
        /// The element's type.
        ty: SqlType,
    },
    /// `array[low:high]`
    Slice {
        /// The array.
        array: Box<Expr>,
        /// The first index, or the array's first.
        low: Option<Box<Expr>>,
        /// The last index, or the array's last.
        high: Option<Box<Expr>>,
    },
}

/// What `IS` tests for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `IS NULL`
    Null,
    /// `IS TRUE`
    True,
    /// `IS FALSE`
    False,
    /// `IS UNKNOWN`: NULL of a boolean.
    Unknown,
}

/// A function or operator applied to its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments, of the types that it takes; those of a variadic function one by one.
    pub args: Vec<Expr>,
    /// The type of the result.
    pub ty: SqlType,
}

/// A value and its type.
///
/// Equality is that of the representation: 1.0 and 1.00 differ, a NaN equals itself.
#[derive(Clone, Debug)]
pub struct Literal {
    /// The value.
    pub value: Value,
    /// Its type.
    pub ty: SqlType,
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty && format!("{:?}", self.value) == format!("{:?}", other.value)
    }
}

impl Eq for Literal {}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.hash(state);
        format!("{:?}", self.value).hash(state);
    }
}

static BOOL: SqlType = SqlType::Bool;

impl Expr {
    /// A value.
    #[must_use]
    pub fn literal(value: Value, ty: SqlType) -> Self {
        Self::Const(Literal { value, ty })
    }

    /// NULL of a type.
    #[must_use]
    pub fn null(ty: SqlType) -> Self {
        Self::literal(Value::Null, ty)
    }

    /// A column.
    #[must_use]
    pub fn column(index: usize, ty: SqlType) -> Self {
        Self::Column { index, ty }
    }

    /// The type of its result.
    #[must_use]
    pub fn ty(&self) -> &SqlType {
        match self {
            Self::Column { ty, .. }
            | Self::Param { ty, .. }
            | Self::Case { ty, .. }
            | Self::CaseOperand { ty }
            | Self::Coalesce { ty, .. }
            | Self::Extreme { ty, .. }
            | Self::Cast { ty, .. }
            | Self::Array { ty, .. }
            | Self::Element { ty, .. } => ty,
            Self::Const(literal) => &literal.ty,
            Self::Call(call) => &call.ty,
            Self::NullIf { equal } => equal.args[0].ty(),
            Self::Slice { array, .. } => array.ty(),
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::Is { .. }
            | Self::Distinct { .. }
            | Self::Quantified { .. } => &BOOL,
        }
    }

    /// The value of a constant.
    #[must_use]
    pub fn as_const(&self) -> Option<&Value> {
        match self {
            Self::Const(literal) => Some(&literal.value),
            _ => None,
        }
    }

    /// The same without conversions around it that do not change the value's representation (`varchar` to `text`).
    #[must_use]
    pub fn bare(&self) -> &Self {
        match self {
            Self::Cast { arg, ty, .. } if super::coerce::is_relabel(arg.ty(), ty) => arg.bare(),
            other => other,
        }
    }

    /// The column that it is, looking through conversions that do not change the value.
    #[must_use]
    pub fn as_column(&self) -> Option<usize> {
        match self.bare() {
            Self::Column { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// The operands of a comparison with its operator: `=`, `<>`, `<`, `<=`, `>`, `>=`.
    #[must_use]
    pub fn as_comparison(&self) -> Option<(&'static str, &Expr, &Expr)> {
        match self {
            Self::Call(call) if matches!(call.function.name, "=" | "<>" | "<" | "<=" | ">" | ">=") => {
                match call.args.as_slice() {
                    [left, right] => Some((call.function.name, left, right)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The conditions that must all be true for it to be true.
    #[must_use]
    pub fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// How its result may change while row and parameters do not.
    #[must_use]
    pub fn volatility(&self) -> Volatility {
        let mut worst = Volatility::Immutable;
        self.walk(&mut |part| worst = worst.max(part.own_volatility()));
        worst
    }

    pub(crate) fn own_volatility(&self) -> Volatility {
        match self {
            Self::Call(call) => call.function.volatility,
            Self::Quantified { operator, .. } => operator.volatility,
            Self::Distinct { equal, .. } | Self::NullIf { equal } => equal.function.volatility,
            Self::Cast { arg, ty, .. } => super::coerce::cast_volatility(arg.ty(), ty),
            _ => Volatility::Immutable,
        }
    }

    /// The columns that it reads, ascending.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.walk(&mut |part| {
            if let Self::Column { index, .. } = part {
                found.push(*index);
            }
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether it calls a function of that name.
    #[must_use]
    pub fn calls(&self, function: &str) -> bool {
        let mut found = false;
        self.walk(&mut |part| found |= matches!(part, Self::Call(call) if call.function.name == function));
        found
    }
}
