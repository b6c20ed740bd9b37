//! The types: their identity in the protocol and in the system catalog.
//!
//! Source: PostgreSQL 15, `pg_type.dat`. Object identifiers never change between its versions.

use super::EnumType;
use super::interval_type::{IntervalLimits, MAX_TIME_PRECISION};

/// A type, with its modifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, or `numeric(precision, scale)`
    Numeric(Option<(u16, i16)>),
    /// `text`
    Text,
    /// `varchar`, or `varchar(length)`, in characters
    Varchar(Option<u32>),
    /// `char(length)`, in characters; length 0, which cannot be declared, is `bpchar` without a length
    Char(u32),
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`, with the digits behind the point of seconds if they are limited
    Time(Option<u8>),
    /// `timestamp without time zone`, as `time`
    Timestamp(Option<u8>),
    /// `timestamp with time zone`, as `time`
    Timestamptz(Option<u8>),
    /// `interval`, or `interval` with fields and a precision
    Interval(Option<IntervalLimits>),
    /// `uuid`
    Uuid,
    /// `inet`: an address and its network
    Inet,
    /// `cidr`: a network
    Cidr,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// A one-dimensional array of an element type that is no array.
    Array(Box<SqlType>),
    /// `oid`
    Oid,
    /// `name`: identifiers in the system catalog
    Name,
    /// `"char"`: one byte, in the system catalog
    InternalChar,
    /// `regclass`
    Regclass,
    /// `regtype`
    Regtype,
    /// `regproc`
    Regproc,
    /// `regnamespace`
    Regnamespace,
    /// `int2vector`: an array in the system catalog that begins at 0 and whose text has no braces
    Int2Vector,
    /// `oidvector`: the same of `oid`
    OidVector,
    /// A literal or parameter whose type its surroundings have not decided; its value is text.
    Unknown,
    /// What a function returns that returns nothing.
    Void,
    /// `jsonpath`: its value is the text as it was written, since the canonical one leaves out parentheses that matter.
    Jsonpath,
    /// A row, which only functions take that make JSON of it: its value is that JSON.
    Record,
    /// An enumeration that a user has made.
    Enum(EnumType),
}

/// What identifies a type to clients: name in the catalog, OID, OID of its array type, bytes (negative: varying), category.
type Identity = (&'static str, u32, u32, i16, char);

impl SqlType {
    const fn identity(&self) -> Identity {
        match self {
            Self::Bool => ("bool", 16, 1000, 1, 'B'),
            Self::Bytea => ("bytea", 17, 1001, -1, 'U'),
            Self::InternalChar => ("char", 18, 1002, 1, 'Z'),
            Self::Name => ("name", 19, 1003, 64, 'S'),
            Self::Int8 => ("int8", 20, 1016, 8, 'N'),
            Self::Int2 => ("int2", 21, 1005, 2, 'N'),
            Self::Int2Vector => ("int2vector", 22, 1006, -1, 'A'),
            Self::Int4 => ("int4", 23, 1007, 4, 'N'),
            Self::Regproc => ("regproc", 24, 1008, 4, 'N'),
            Self::Text => ("text", 25, 1009, -1, 'S'),
            Self::Oid => ("oid", 26, 1028, 4, 'N'),
            Self::OidVector => ("oidvector", 30, 1013, -1, 'A'),
            Self::Json => ("json", 114, 199, -1, 'U'),
            Self::Cidr => ("cidr", 650, 651, -1, 'I'),
            Self::Float4 => ("float4", 700, 1021, 4, 'N'),
            Self::Float8 => ("float8", 701, 1022, 8, 'N'),
            Self::Unknown => ("unknown", 705, 0, -2, 'X'),
            Self::Inet => ("inet", 869, 1041, -1, 'I'),
            Self::Char(_) => ("bpchar", 1042, 1014, -1, 'S'),
            Self::Varchar(_) => ("varchar", 1043, 1015, -1, 'S'),
            Self::Date => ("date", 1082, 1182, 4, 'D'),
            Self::Time(_) => ("time", 1083, 1183, 8, 'D'),
            Self::Timestamp(_) => ("timestamp", 1114, 1115, 8, 'D'),
            Self::Timestamptz(_) => ("timestamptz", 1184, 1185, 8, 'D'),
            Self::Interval(_) => ("interval", 1186, 1187, 16, 'T'),
            Self::Numeric(_) => ("numeric", 1700, 1231, -1, 'N'),
            Self::Regclass => ("regclass", 2205, 2210, 4, 'N'),
            Self::Regtype => ("regtype", 2206, 2211, 4, 'N'),
            Self::Void => ("void", 2278, 0, 4, 'P'),
            Self::Record => ("record", 2249, 2287, -1, 'P'),
            Self::Uuid => ("uuid", 2950, 2951, 16, 'U'),
            Self::Jsonb => ("jsonb", 3802, 3807, -1, 'U'),
            Self::Jsonpath => ("jsonpath", 4072, 4073, -1, 'U'),
            Self::Regnamespace => ("regnamespace", 4089, 4090, 4, 'N'),
            Self::Array(element) => {
                let array = element.identity().2;
                ("", array, 0, -1, 'A')
            }
            Self::Enum(ty) => ("", ty.number(), ty.array_number(), 4, 'E'),
        }
    }

    /// Every type that is no array of any type, without modifiers.
    pub const SCALARS: [Self; 33] = [
        Self::Bool,
        Self::Bytea,
        Self::InternalChar,
        Self::Name,
        Self::Int8,
        Self::Int2,
        Self::Int4,
        Self::Regproc,
        Self::Text,
        Self::Oid,
        Self::Json,
        Self::Cidr,
        Self::Float4,
        Self::Float8,
        Self::Unknown,
        Self::Inet,
        Self::Char(0),
        Self::Varchar(None),
        Self::Date,
        Self::Time(None),
        Self::Timestamp(None),
        Self::Timestamptz(None),
        Self::Interval(None),
        Self::Numeric(None),
        Self::Regclass,
        Self::Regtype,
        Self::Void,
        Self::Uuid,
        Self::Jsonb,
        Self::Jsonpath,
        Self::Regnamespace,
        Self::Int2Vector,
        Self::OidVector,
    ];

    /// Its object identifier.
    #[must_use]
    pub const fn oid(&self) -> u32 {
        self.identity().1
    }

    /// The object identifier of the array type of it; 0 if there is none.
    #[must_use]
    pub const fn array_oid(&self) -> u32 {
        self.identity().2
    }

    /// The type with an object identifier, without modifiers; those that users have made are not known here.
    #[must_use]
    pub fn from_oid(oid: u32) -> Option<Self> {
        Self::SCALARS.iter().find_map(|ty| match ty.identity() {
            (_, own, ..) if own == oid => Some(ty.clone()),
            (_, _, array, ..) if array == oid && oid != 0 => Some(ty.clone().array()),
            _ => None,
        })
    }

    /// The type with an object identifier and modifiers, as the protocol and the system catalog give them.
    #[must_use]
    pub fn from_oid_typmod(oid: u32, typmod: i32) -> Option<Self> {
        Self::from_oid(oid).map(|ty| ty.with_typmod(typmod))
    }

    fn with_typmod(self, typmod: i32) -> Self {
        let length = u32::try_from(typmod).ok().and_then(|t| t.checked_sub(4));
        let digits = u8::try_from(typmod).ok().filter(|digits| *digits <= MAX_TIME_PRECISION);
        match (self, length) {
            (Self::Array(element), _) => element.with_typmod(typmod).array(),
            (Self::Varchar(_), length) => Self::Varchar(length),
            (Self::Char(_), length) => Self::Char(length.unwrap_or(0)),
            (Self::Numeric(_), Some(length)) => {
                let scale = ((length & 0x7ff) as i16 ^ 1024) - 1024;
                Self::Numeric(Some(((length >> 16) as u16, scale)))
            }
            (Self::Time(_), _) => Self::Time(digits),
            (Self::Timestamp(_), _) => Self::Timestamp(digits),
            (Self::Timestamptz(_), _) => Self::Timestamptz(digits),
            (Self::Interval(_), _) => Self::Interval(IntervalLimits::from_typmod(typmod)),
            (ty, _) => ty,
        }
    }

    /// Its modifiers, as the protocol and the system catalog give them; -1 if it has none.
    #[must_use]
    pub fn typmod(&self) -> i32 {
        let length = |n: u32| i32::try_from(n).map_or(-1, |n| n.saturating_add(4));
        match self {
            Self::Varchar(Some(n)) => length(*n),
            Self::Char(n) if *n > 0 => length(*n),
            Self::Numeric(Some((precision, scale))) => {
                ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4
            }
            Self::Time(Some(digits)) | Self::Timestamp(Some(digits)) | Self::Timestamptz(Some(digits)) => {
                (*digits).into()
            }
            Self::Interval(Some(limits)) => limits.typmod(),
            Self::Array(element) => element.typmod(),
            _ => -1,
        }
    }

    /// The same type without modifiers.
    #[must_use]
    pub fn base(&self) -> Self {
        self.clone().with_typmod(-1).without_precision()
    }

    fn without_precision(self) -> Self {
        match self {
            Self::Numeric(_) => Self::Numeric(None),
            Self::Array(element) => element.without_precision().array(),
            ty => ty,
        }
    }

    /// The type of arrays of it.
    #[must_use]
    pub fn array(self) -> Self {
        Self::Array(Box::new(self))
    }

    /// The type of its elements, if it is an array.
    #[must_use]
    pub fn element(&self) -> Option<&Self> {
        match self {
            Self::Array(element) => Some(element),
            Self::Int2Vector => Some(&Self::Int2),
            Self::OidVector => Some(&Self::Oid),
            _ => None,
        }
    }

    /// The type, without what is known of the enumeration that it is, or is an array of: its values are their numbers.
    #[must_use]
    pub fn unlabelled(&self) -> Self {
        match self {
            Self::Array(element) => element.unlabelled().array(),
            Self::Enum(ty) => Self::Enum(EnumType::unknown(ty.number())),
            ty => ty.clone(),
        }
    }

    /// The enumeration that it is, or is an array of.
    #[must_use]
    pub fn enumeration(&self) -> Option<&EnumType> {
        match self {
            Self::Array(element) => element.enumeration(),
            Self::Enum(ty) => Some(ty),
            _ => None,
        }
    }

    /// Whether its values are rows, or arrays of them: nothing that can be stored or given to a client.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        match self {
            Self::Array(element) => element.has_rows(),
            ty => *ty == Self::Record,
        }
    }

    /// Whether it is an array of the system catalog's own kind: it begins at 0, and its text has no braces.
    #[must_use]
    pub const fn is_vector(&self) -> bool {
        matches!(self, Self::Int2Vector | Self::OidVector)
    }

    /// How many bytes the protocol says that its values have; -1 if they vary.
    #[must_use]
    pub const fn size(&self) -> i16 {
        self.identity().3
    }

    /// Its category (`pg_type.typcategory`), by which functions and operators are resolved.
    #[must_use]
    pub const fn category(&self) -> char {
        self.identity().4
    }

    /// Whether it is the preferred type of its category: of several candidates, functions of it win.
    #[must_use]
    pub const fn is_preferred(&self) -> bool {
        matches!(
            self,
            Self::Bool | Self::Text | Self::Float8 | Self::Oid | Self::Timestamptz(_) | Self::Interval(_) | Self::Inet
        )
    }

    /// Its name in the system catalog (`pg_type.typname`): `int4`, `_int4`.
    #[must_use]
    pub fn catalog_name(&self) -> String {
        match self {
            Self::Array(element) => format!("_{}", element.catalog_name()),
            Self::Enum(ty) => ty.name(),
            ty => ty.identity().0.to_owned(),
        }
    }
}
