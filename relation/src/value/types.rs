//! The types.

use wincode::{SchemaRead, SchemaWrite};

/// A type, with its modifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, SchemaRead, SchemaWrite)]
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
    /// `char(length)`, in characters
    Char(u32),
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
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
    /// A literal or parameter whose type its surroundings have not decided; its value is text.
    Unknown,
    /// What a function returns that returns nothing.
    Void,
}
