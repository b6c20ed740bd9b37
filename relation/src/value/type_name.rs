//! The names of types: how SQL writes them, and how clients see them.

use super::SqlType;
use super::interval_type::{IntervalFields, IntervalLimits, MAX_TIME_PRECISION};
use crate::{SqlError, SqlResult, error::SqlState};

/// The longest `varchar` and `char`, in characters.
pub const MAX_LENGTH: u32 = 10_485_760;
/// The most digits that `numeric(precision, scale)` may have.
pub const MAX_PRECISION: i64 = 1000;

/// Types of PostgreSQL that this database does not have; naming one is refused with that reason.
const KNOWN: [&str; 22] = [
    "bit",
    "varbit",
    "bit varying",
    "box",
    "circle",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "tsquery",
    "tsvector",
    "timetz",
    "time with time zone",
    "xml",
    "int4range",
    "tstzrange",
    "hstore",
];

impl SqlType {
    /// Its name as clients show it (`format_type`): `character varying(10)`, `timestamp without time zone[]`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Varchar(Some(n)) => format!("character varying({n})"),
            Self::Char(0) => "bpchar".to_owned(),
            Self::Char(n) => format!("character({n})"),
            Self::Numeric(Some((precision, scale))) => format!("numeric({precision},{scale})"),
            Self::Time(Some(digits)) => format!("time({digits}) without time zone"),
            Self::Timestamp(Some(digits)) => format!("timestamp({digits}) without time zone"),
            Self::Timestamptz(Some(digits)) => format!("timestamp({digits}) with time zone"),
            Self::Interval(Some(limits)) => format!("interval{limits}"),
            Self::Array(element) => format!("{}[]", element.name()),
            ty => ty.base_name(),
        }
    }

    /// Its name without modifiers, as error messages have it: `character varying`.
    #[must_use]
    pub fn base_name(&self) -> String {
        match self {
            Self::Bool => "boolean".to_owned(),
            Self::Int2 => "smallint".to_owned(),
            Self::Int4 => "integer".to_owned(),
            Self::Int8 => "bigint".to_owned(),
            Self::Float4 => "real".to_owned(),
            Self::Float8 => "double precision".to_owned(),
            Self::Varchar(_) => "character varying".to_owned(),
            Self::Char(_) => "character".to_owned(),
            Self::InternalChar => "\"char\"".to_owned(),
            Self::Time(_) => "time without time zone".to_owned(),
            Self::Timestamp(_) => "timestamp without time zone".to_owned(),
            Self::Timestamptz(_) => "timestamp with time zone".to_owned(),
            Self::Array(element) => format!("{}[]", element.base_name()),
            Self::Enum(ty) => super::enums::quoted(&ty.name()),
            ty => ty.catalog_name(),
        }
    }

    /// The type that SQL text names, with modifiers: `character varying(10)`, `int[]`, `pg_catalog.int4`.
    ///
    /// A precision of times beyond 6 is 6.
    ///
    /// # Errors
    ///
    /// `42704` if there is no such type, `0A000` if it is one of PostgreSQL's that is not supported, `42601` if it is
    /// no name of a type, `22023` if its modifiers are wrong.
    pub fn parse_name(text: &str) -> SqlResult<Self> {
        let syntax = || SqlError::new(SqlState::SYNTAX_ERROR, format!("invalid type name \"{text}\""));
        let parts = Parts::read(text).ok_or_else(syntax)?;
        if parts.words.is_empty() {
            return Err(syntax());
        }
        let scalar = parts.scalar()?;
        match parts.dimensions {
            0 => Ok(scalar),
            1 if scalar.element().is_some() => Err(SqlError::unsupported("an array of arrays")),
            1 => Ok(scalar.array()),
            _ => Err(SqlError::unsupported("an array of more than one dimension")),
        }
    }
}

/// A type's name, taken apart: `character varying (10) []`.
#[derive(Default)]
struct Parts {
    words: Vec<String>,
    arguments: Vec<i64>,
    dimensions: usize,
    quoted: bool,
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        let mut parts = Self::default();
        let mut rest = text.trim();
        while let Some(first) = rest.chars().next() {
            rest = match first {
                '"' => {
                    let (word, after) = rest[1..].split_once('"')?;
                    parts.quoted = true;
                    parts.words.push(word.to_owned());
                    after
                }
                '(' => {
                    let (inside, after) = rest[1..].split_once(')')?;
                    if !parts.arguments.is_empty() {
                        return None;
                    }
                    parts.arguments = inside.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
                    after
                }
                '[' => {
                    let (inside, after) = rest[1..].split_once(']')?;
                    if !inside.trim().chars().all(|c| c.is_ascii_digit()) {
                        return None;
                    }
                    parts.dimensions += 1;
                    after
                }
                '.' if parts.words == ["pg_catalog"] => {
                    parts.words.clear();
                    &rest[1..]
                }
                c if c == '_' || c.is_alphabetic() => {
                    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                    parts.words.push(rest[..end].to_lowercase());
                    &rest[end..]
                }
                _ => return None,
            }
            .trim_start();
        }
        if parts.words.len() > 1 && parts.words.last().is_some_and(|w| w == "array") {
            parts.words.pop();
            parts.dimensions += 1;
        }
        Some(parts)
    }

    fn scalar(&self) -> SqlResult<SqlType> {
        let name = self.words.join(" ");
        if self.quoted && name == "char" {
            return self.plain(SqlType::InternalChar);
        }
        match name.as_str() {
            "boolean" => self.plain(SqlType::Bool),
            "smallint" => self.plain(SqlType::Int2),
            "integer" | "int" => self.plain(SqlType::Int4),
            "bigint" => self.plain(SqlType::Int8),
            "real" => self.plain(SqlType::Float4),
            "double precision" => self.plain(SqlType::Float8),
            "float" => self.float(),
            "numeric" | "decimal" | "dec" => self.numeric(),
            "varchar" | "character varying" | "char varying" | "national character varying" | "nchar varying" => {
                Ok(SqlType::Varchar(self.length("varchar")?))
            }
            "character" | "char" | "national character" | "nchar" => {
                Ok(SqlType::Char(self.length("char")?.unwrap_or(1)))
            }
            "bpchar" => Ok(SqlType::Char(self.length("char")?.unwrap_or(0))),
            "time" | "time without time zone" => Ok(SqlType::Time(self.digits()?)),
            "timestamp" | "timestamp without time zone" => Ok(SqlType::Timestamp(self.digits()?)),
            "timestamptz" | "timestamp with time zone" => Ok(SqlType::Timestamptz(self.digits()?)),
            _ if self.words.first().is_some_and(|word| word == "interval") => self.interval(),
            _ => self.in_catalog(&name),
        }
    }

    fn in_catalog(&self, name: &str) -> SqlResult<SqlType> {
        let (element, array) = name.strip_prefix('_').map_or((name, false), |element| (element, true));
        if let Some(ty) =
            SqlType::SCALARS.iter().find(|ty| **ty != SqlType::InternalChar && ty.catalog_name() == element)
        {
            return self.plain(if array { ty.clone().array() } else { ty.clone() });
        }
        if KNOWN.contains(&name) {
            return Err(SqlError::unsupported(format_args!("type {name}")));
        }
        Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist")))
    }

    fn plain(&self, ty: SqlType) -> SqlResult<SqlType> {
        if self.arguments.is_empty() {
            return Ok(ty);
        }
        let message = format!("type modifier is not allowed for type \"{}\"", ty.catalog_name());
        Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
    }

    fn length(&self, name: &str) -> SqlResult<Option<u32>> {
        let invalid = |what| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what);
        match self.arguments[..] {
            [] => Ok(None),
            [n] if n < 1 => Err(invalid(format!("length for type {name} must be at least 1"))),
            [n] if n > i64::from(MAX_LENGTH) => {
                Err(invalid(format!("length for type {name} cannot exceed {MAX_LENGTH}")))
            }
            [n] => Ok(u32::try_from(n).ok()),
            _ => Err(invalid("invalid type modifier".to_owned())),
        }
    }

    fn float(&self) -> SqlResult<SqlType> {
        let invalid = |what| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what));
        match self.arguments[..] {
            [] | [25..=53] => Ok(SqlType::Float8),
            [1..=24] => Ok(SqlType::Float4),
            [..=0] => invalid("precision for type float must be at least 1 bit"),
            _ => invalid("precision for type float must be less than 54 bits"),
        }
    }

    fn numeric(&self) -> SqlResult<SqlType> {
        let invalid = |what| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what);
        let (precision, scale) = match self.arguments[..] {
            [] => return Ok(SqlType::Numeric(None)),
            [precision] => (precision, 0),
            [precision, scale] => (precision, scale),
            _ => return Err(invalid("invalid NUMERIC type modifier".to_owned())),
        };
        if !(1..=MAX_PRECISION).contains(&precision) {
            return Err(invalid(format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}")));
        }
        if !(-MAX_PRECISION..=MAX_PRECISION).contains(&scale) {
            let range = format!("between -{MAX_PRECISION} and {MAX_PRECISION}");
            return Err(invalid(format!("NUMERIC scale {scale} must be {range}")));
        }
        Ok(SqlType::Numeric(Some((precision as u16, scale as i16))))
    }

    /// The digits behind the point of seconds.
    fn digits(&self) -> SqlResult<Option<u8>> {
        match self.arguments[..] {
            [] => Ok(None),
            [n] => Ok(Some(u8::try_from(n).unwrap_or(MAX_TIME_PRECISION).min(MAX_TIME_PRECISION))),
            _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid type modifier")),
        }
    }

    fn interval(&self) -> SqlResult<SqlType> {
        let name = self.words[1..].join(" ");
        let fields = IntervalFields::named(&name);
        let precision = self.digits()?;
        if fields.is_none() && !name.is_empty() || precision.is_some() && fields.is_some_and(|f| !f.has_seconds()) {
            let message = format!("invalid type name \"{}\"", self.words.join(" "));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let limited = fields.is_some() || precision.is_some();
        Ok(SqlType::Interval(limited.then_some(IntervalLimits { fields, precision })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_writes_them() {
        for (text, name) in [
            ("character varying(10)", "character varying(10)"),
            ("VARCHAR", "character varying"),
            ("char", "character(1)"),
            ("\"char\"", "\"char\""),
            ("bpchar", "bpchar"),
            ("numeric(10, 2)", "numeric(10,2)"),
            ("decimal(5)", "numeric(5,0)"),
            ("numeric(3,-2)[]", "numeric(3,-2)[]"),
            ("pg_catalog.int4", "integer"),
            ("_int8", "bigint[]"),
            ("int array", "integer[]"),
            ("text[3]", "text[]"),
            ("float(24)", "real"),
            ("timestamp(3) with time zone", "timestamp(3) with time zone"),
            ("timestamptz(9)", "timestamp(6) with time zone"),
            ("time(0)[]", "time(0) without time zone[]"),
            ("interval(2)", "interval(2)"),
            ("interval day to second(2)", "interval day to second(2)"),
            ("interval year", "interval year"),
            ("timestamptz", "timestamp with time zone"),
            ("double precision", "double precision"),
        ] {
            assert_eq!(SqlType::parse_name(text).unwrap().name(), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_type_is_refused_with_its_reason() {
        for (text, state) in [
            ("timestamp(3, 4)", "22023"),
            ("interval second to day", "42601"),
            ("interval day(3)", "42601"),
            ("xml", "0A000"),
            ("int[][]", "0A000"),
            ("foo", "42704"),
            ("", "42601"),
            ("int(", "42601"),
            ("int(3)", "42601"),
            ("numeric(0)", "22023"),
            ("numeric(1,1001)", "22023"),
            ("varchar(0)", "22023"),
            ("char(10485761)", "22023"),
        ] {
            assert_eq!(SqlType::parse_name(text).unwrap_err().state().0, state, "{text}");
        }
    }

    #[test]
    fn oids_and_modifiers_lead_back_to_the_type() {
        for ty in SqlType::SCALARS {
            assert_eq!(SqlType::from_oid(ty.oid()), Some(ty.clone()));
            if ty.array_oid() != 0 {
                assert_eq!(SqlType::from_oid(ty.array_oid()), Some(ty.clone().array()));
            }
        }
        for text in [
            "varchar(7)",
            "char(3)",
            "numeric(12,3)",
            "numeric(3,-2)",
            "numeric(5,3)[]",
            "timestamp(0)",
            "interval hour",
        ] {
            let ty = SqlType::parse_name(text).unwrap();
            let oid = ty.oid();
            assert_eq!(SqlType::from_oid_typmod(oid, ty.typmod()), Some(ty.clone()), "{text}");
            assert_eq!(SqlType::from_oid(oid), Some(ty.base()));
        }
        assert_eq!(SqlType::parse_name("numeric(10,2)").unwrap().typmod(), 655_366);
    }
}
