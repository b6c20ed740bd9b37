//! Quoting of names and literals.

use annulus_relation::{SqlResult, Value};
use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX};

use super::super::super::registry::Site;
use super::super::args::{string, text};

/// Keywords that PostgreSQL quotes although the parser would read them as names.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// A name as SQL text: quoted unless it is plain, lower case and no keyword.
pub fn identifier(name: &str) -> String {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts && plain && RESERVED.binary_search(&name).is_err() && !is_reserved_by_parser(name) {
        return name.into();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn is_reserved_by_parser(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ALL_KEYWORDS
        .binary_search(&upper.as_str())
        .is_ok_and(|index| PostgreSqlDialect {}.is_reserved_for_identifier(ALL_KEYWORDS_INDEX[index]))
}

/// A string as SQL text.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

pub(super) fn quote_ident(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(identifier(text(args, 0)?))
}

pub(super) fn quote_literal(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(literal(text(&[super::concat::converted(site, 0, &args[0])?], 0)?))
}

pub(super) fn quote_nullable(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() { string("NULL") } else { quote_literal(site, args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert!(RESERVED.is_sorted());
        assert_eq!(identifier("abc_1"), "abc_1");
        assert_eq!(identifier("order"), "\"order\"");
        assert_eq!(identifier("A\"b"), "\"A\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }
}
