//! Commands of the shell itself, which begin with a backslash.

/// What a backslash command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meta {
    /// A query.
    Query(String),
    /// Queries about one table; a name after a dot is a schema's.
    Describe(String),
    /// Another database, or the same again.
    Connect(Option<String>),
    /// How long statements take, shown or not.
    Timing,
    /// A line per value, or per row.
    Expanded,
    /// What there is to know.
    Help,
    /// The end.
    Quit,
}

/// The list of the commands.
pub const HELP: &str = "\
  \\d           tables, views and sequences
  \\d NAME      the columns, indexes and constraints of a table
  \\dt  \\dv     tables, views
  \\di  \\ds     indexes, sequences
  \\dn          schemas
  \\l           databases
  \\c [NAME]    connects to another database
  \\x           a line per value, on or off
  \\timing      how long statements take, on or off
  \\?           this list
  \\q           leaves

A statement ends with a semicolon, on whatever line. Ctrl-C cancels one that is at work. Tab completes words and names.
";

/// Reads a line that begins with a backslash.
///
/// # Errors
/// There is no such command.
pub fn read(line: &str) -> Result<Meta, String> {
    let mut words = line.trim().trim_end_matches(';').split_whitespace();
    let (command, argument) = (words.next().unwrap_or_default(), words.next().map(str::to_owned));
    Ok(match (command, argument) {
        ("\\d", Some(name)) => Meta::Describe(name),
        ("\\d", None) => Meta::Query(relations("'r', 'p', 'v', 'S'")),
        ("\\dt", _) => Meta::Query(relations("'r', 'p'")),
        ("\\dv", _) => Meta::Query(relations("'v'")),
        ("\\di", _) => Meta::Query(INDEXES.to_owned()),
        ("\\ds", _) => Meta::Query(relations("'S'")),
        ("\\dn", _) => Meta::Query(SCHEMAS.to_owned()),
        ("\\l", _) => Meta::Query(DATABASES.to_owned()),
        ("\\c" | "\\connect", name) => Meta::Connect(name),
        ("\\x", _) => Meta::Expanded,
        ("\\timing", _) => Meta::Timing,
        ("\\?" | "\\h" | "\\help", _) => Meta::Help,
        ("\\q" | "\\quit", _) => Meta::Quit,
        (other, _) => return Err(format!("there is no command {other}; \\? lists all")),
    })
}

const SCHEMAS: &str = "SELECT n.nspname AS \"Name\" FROM pg_catalog.pg_namespace n \
    WHERE n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema' ORDER BY 1";

const DATABASES: &str = "SELECT d.datname AS \"Name\" FROM pg_catalog.pg_database d ORDER BY 1";

const INDEXES: &str = "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", t.relname AS \"Table\" \
    FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2";

/// The relations of some kinds.
fn relations(kinds: &str) -> String {
    format!(
        "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", \
         CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'other' END AS \"Type\" \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ({kinds}) AND n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema' \
         ORDER BY 1, 2"
    )
}

/// What is asked about a table, in order: a heading, and the query.
pub fn describe(name: &str) -> [(&'static str, String); 3] {
    let (schema, table) = name.rsplit_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
    let (table, schema) = (literal(table), schema.map(literal));
    let of = |class: &str| {
        let schema = schema.as_ref().map(|schema| {
            format!(" AND {class}.relnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema})")
        });
        format!("{class}.relname = {table}{}", schema.unwrap_or_default())
    };
    let columns = format!(
        "SELECT a.attname AS \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) AS \"Type\", \
         CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS \"Nullable\", \
         pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS \"Default\" \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        of("c")
    );
    let indexes = format!(
        "SELECT i.relname AS \"Index\", pg_catalog.pg_get_indexdef(x.indexrelid) AS \"Definition\" \
         FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
         JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE {} ORDER BY 1",
        of("c")
    );
    let constraints = format!(
        "SELECT k.conname AS \"Constraint\", pg_catalog.pg_get_constraintdef(k.oid) AS \"Definition\" \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid WHERE {} ORDER BY 1",
        of("c")
    );
    [("Columns", columns), ("Indexes", indexes), ("Constraints", constraints)]
}

/// A name as a string in SQL: as it is between double quotes, else in lower case.
fn literal(name: &str) -> String {
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = quoted.map_or_else(|| name.to_lowercase(), |name| name.replace("\"\"", "\""));
    format!("'{}'", name.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(read("\\q"), Ok(Meta::Quit));
        assert_eq!(read(" \\c other;"), Ok(Meta::Connect(Some("other".to_owned()))));
        assert_eq!(read("\\d s.t"), Ok(Meta::Describe("s.t".to_owned())));
        assert!(matches!(read("\\dt"), Ok(Meta::Query(sql)) if sql.contains("IN ('r', 'p')")));
        assert!(read("\\foo").unwrap_err().contains("\\?"));
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(literal("Tab'le"), "'tab''le'");
        assert_eq!(literal("\"Ta\"\"b\""), "'Ta\"b'");
        let [(_, columns), ..] = describe("s.T");
        assert!(columns.contains("c.relname = 't' AND c.relnamespace IN (SELECT") && columns.contains("nspname = 's'"));
    }
}
