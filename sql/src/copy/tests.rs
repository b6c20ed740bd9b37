mod binary;
mod columns;
mod loads;

use super::decode::{Fields, Lines, Record};
use super::encode::Encoder;
use crate::bind::EvalContext;
use crate::parse::{CopyOptions, Statement, parse};
use crate::session::answer::Column;
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlType, Value};

fn options(text: &str) -> CopyOptions {
    let parsed = parse(&format!("copy t from stdin {text}")).unwrap().remove(0);
    match parsed.statement {
        Statement::Copy(copy) => copy.options,
        other => panic!("{other:?}"),
    }
}

/// All records of some data, whatever pieces it comes in.
fn records(text: &str, data: &str) -> Vec<Vec<Option<String>>> {
    let whole = |piece: usize| {
        let mut decoder = Lines::new(&options(text), ["a", "b"].map(str::to_owned).to_vec());
        let mut found = Vec::new();
        for piece in data.as_bytes().chunks(piece) {
            found.extend(decoder.feed(piece));
        }
        found.extend(decoder.finish());
        let fields = |record: Result<Record, (u64, SqlError)>| match record.map_err(|(_, error)| error).unwrap().fields
        {
            Fields::Text(fields) => fields,
            Fields::Binary(_) => panic!("binary fields"),
        };
        found.into_iter().map(fields).collect::<Vec<_>>()
    };
    let all = whole(data.len().max(1));
    assert_eq!(all, whole(1));
    assert_eq!(all, whole(3));
    all
}

fn fields(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

#[test]
fn text_has_tabs_backslashes_and_nulls() {
    let found = records("", "1\ta\\tb\\\\\n\\N\t\\x41\\101\\n\r\n2\t\n\\.\nmore\t1\n");
    let expected =
        [fields(&[Some("1"), Some("a\tb\\")]), fields(&[None, Some("AA\n")]), fields(&[Some("2"), Some("")])];
    assert_eq!(found, expected);
}

#[test]
fn csv_has_quotes_headers_and_lines_within_fields() {
    let found = records("csv header", "a,b\n1,\"x, \"\"y\"\"\nz\"\n,\"\"\n3,last");
    let expected =
        [fields(&[Some("1"), Some("x, \"y\"\nz")]), fields(&[None, Some("")]), fields(&[Some("3"), Some("last")])];
    assert_eq!(found, expected);
    let mut decoder = Lines::new(&options("csv"), Vec::new());
    assert!(decoder.feed(b"1,\"open").is_empty());
    assert!(matches!(decoder.finish(), Some(Err((1, _)))));
}

#[test]
fn what_is_printed_is_read_again() {
    let columns = vec![Column::new("a", SqlType::Text), Column::new("b", SqlType::Text)];
    let rows: [[Value; 2]; 3] = [
        [Value::text("tab\tline\nback\\"), Value::Null],
        [Value::text("\"quoted\", \\N"), Value::text("")],
        [Value::text(","), Value::text("ä")],
    ];
    for text in ["", "csv", "csv delimiter ';' null 'none'"] {
        let encoder = Encoder::new(&options(text), columns.clone());
        let env = Env::default();
        let cx = EvalContext::constant(&env);
        let data: Vec<u8> = rows.iter().flat_map(|row| encoder.line(row, &cx).unwrap()).collect();
        let found = records(text, std::str::from_utf8(&data).unwrap());
        let expected: Vec<Vec<Option<String>>> = rows
            .iter()
            .map(|row| {
                let shown = |value: &Value| match value {
                    Value::Text(text) => Some(text.to_string()),
                    _ => None,
                };
                row.iter().map(shown).collect()
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}
