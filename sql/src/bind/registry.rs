//! The table of functions and operators.
//!
//! Families declare theirs as signatures (`"substr(text,int4,int4) text"`); an operator is a function whose name is its
//! symbol. The table is read once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use annulus_relation::{SqlResult, SqlType, Value};

use super::context::EvalContext;
use super::eval::Types;
use super::functions;

/// How a function's result may change while its arguments do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volatility {
    /// Never.
    Immutable,
    /// Between statements: it reads settings, the catalog or the transaction's time.
    Stable,
    /// At every call.
    Volatile,
}

/// What a function takes or gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A type.
    Type(SqlType),
    /// `any`: whatever type, each on its own.
    Any,
    /// `anyelement`: one type for all of these; arrays of it are `anyarray`.
    Element,
    /// `anynonarray`
    NonArray,
    /// `anyenum`: as `anyelement`, of enumerations.
    Enum,
    /// `anyarray`
    Array,
    /// `anycompatible`: what all of these have in common.
    Compatible,
    /// `anycompatiblearray`
    CompatibleArray,
}

/// A place where a function is called.
pub(super) struct Site<'a> {
    /// Where the arguments' types are found.
    pub types: Types<'a>,
    /// The type of the result.
    pub ty: &'a SqlType,
    /// Session and settings.
    pub cx: &'a EvalContext<'a>,
}

impl Site<'_> {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        match self.types {
            Types::Call(call) => call.function.name,
            Types::Pair(..) => "",
        }
    }

    /// The type of an argument.
    pub fn arg(&self, arg: usize) -> &SqlType {
        match self.types {
            Types::Call(call) => call.args.get(arg).map_or(&SqlType::Unknown, |arg| arg.ty()),
            Types::Pair(left, _) if arg == 0 => left,
            Types::Pair(_, right) => right,
        }
    }
}

pub(super) type Body = fn(&Site<'_>, &[Value]) -> SqlResult<Value>;

/// A function or operator of certain argument types.
#[derive(Debug)]
pub struct Function {
    /// Its name: of an operator the symbol.
    pub name: &'static str,
    /// How its result may change.
    pub volatility: Volatility,
    pub(super) params: Vec<Slot>,
    /// Whether the last parameter may come any number of times.
    pub(super) variadic: bool,
    pub(super) returns: Slot,
    /// Whether a NULL among the arguments makes the result NULL without a call.
    pub(super) strict: bool,
    pub(super) body: Body,
    signature: &'static str,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl Function {
    /// Whether it is written as an operator.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        !self.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

/// A function as its family declares it.
pub(super) struct Entry {
    signature: &'static str,
    body: Body,
    volatility: Volatility,
    strict: bool,
}

/// An immutable function that gives NULL for NULL. The signature is `name(types) type`; the last type may be
/// `variadic type`.
pub(super) const fn entry(signature: &'static str, body: Body) -> Entry {
    Entry { signature, body, volatility: Volatility::Immutable, strict: true }
}

impl Entry {
    /// The same, stable.
    pub const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    /// The same, volatile.
    pub const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// The same, called with NULLs too.
    pub const fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    fn function(&self) -> Option<Function> {
        let (name, rest) = self.signature.split_once('(')?;
        let (params, returns) = rest.rsplit_once(") ")?;
        let variadic = params.contains("variadic ");
        let params = params.replace("variadic ", "");
        let params = params.split(',').filter(|param| !param.is_empty()).map(slot).collect::<Option<Vec<_>>>()?;
        Some(Function {
            name,
            volatility: self.volatility,
            params,
            variadic,
            returns: slot(returns)?,
            strict: self.strict,
            body: self.body,
            signature: self.signature,
        })
    }
}

fn slot(name: &str) -> Option<Slot> {
    let name = name.trim();
    Some(match name {
        "any" => Slot::Any,
        "anyelement" => Slot::Element,
        "anynonarray" => Slot::NonArray,
        "anyenum" => Slot::Enum,
        "anyarray" => Slot::Array,
        "anycompatible" => Slot::Compatible,
        "anycompatiblearray" => Slot::CompatibleArray,
        name => match name.strip_suffix("[]") {
            Some(element) => Slot::Type(SqlType::Array(Box::new(simple(element)?))),
            None => Slot::Type(simple(name)?),
        },
    })
}

fn simple(name: &str) -> Option<SqlType> {
    Some(match name {
        "bool" => SqlType::Bool,
        "int2" => SqlType::Int2,
        "int4" => SqlType::Int4,
        "int8" => SqlType::Int8,
        "float4" => SqlType::Float4,
        "float8" => SqlType::Float8,
        "numeric" => SqlType::Numeric(None),
        "text" => SqlType::Text,
        "bpchar" => SqlType::Char(0),
        "name" => SqlType::Name,
        "char" => SqlType::InternalChar,
        "bytea" => SqlType::Bytea,
        "date" => SqlType::Date,
        "time" => SqlType::Time(None),
        "timestamp" => SqlType::Timestamp(None),
        "timestamptz" => SqlType::Timestamptz(None),
        "interval" => SqlType::Interval(None),
        "uuid" => SqlType::Uuid,
        "inet" => SqlType::Inet,
        "cidr" => SqlType::Cidr,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "jsonpath" => SqlType::Jsonpath,
        "oid" => SqlType::Oid,
        "regclass" => SqlType::Regclass,
        "regtype" => SqlType::Regtype,
        "int2vector" => SqlType::Int2Vector,
        "oidvector" => SqlType::OidVector,
        "void" => SqlType::Void,
        "record" => SqlType::Record,
        _ => return None,
    })
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Function>>> = LazyLock::new(|| {
    let mut table: HashMap<&'static str, Vec<Function>> = HashMap::new();
    for function in functions::families().iter().flat_map(|family| family.iter()).filter_map(Entry::function) {
        table.entry(function.name).or_default().push(function);
    }
    table
});

/// All functions or operators of a name.
pub(super) fn named(name: &str) -> &'static [Function] {
    TABLE.get(name).map_or(&[], Vec::as_slice)
}

/// The aggregate that counts rows of values which differ, NULL being one of them. No client writes such a name.
pub(crate) const DISTINCT_ROWS: &str = "distinct rows";

/// The aggregate functions' names, which [`super::needs_query`] knows by name.
#[must_use]
pub const fn aggregate_names() -> &'static [&'static str] {
    &[
        "any_value",
        "array_agg",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "covar_pop",
        "covar_samp",
        DISTINCT_ROWS,
        "every",
        "grouping",
        "json_agg",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "max",
        "min",
        "mode",
        "percentile_cont",
        "percentile_disc",
        "range_agg",
        "regr_avgx",
        "regr_avgy",
        "regr_count",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "string_agg",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
        "xmlagg",
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_signature_is_read_and_unique() {
        let mut seen = HashSet::new();
        for entry in functions::families().iter().flat_map(|family| family.iter()) {
            assert!(entry.function().is_some(), "{}", entry.signature);
            let parameters = entry.signature.rsplit_once(") ").unwrap().0;
            assert!(seen.insert(parameters), "{} is declared twice", entry.signature);
        }
    }
}
