//! Tests of what options say of columns.

use crate::testing::{Client, run};

async fn rows(client: &mut Client) -> String {
    client.ok("select id, coalesce(a, '-'), coalesce(b, '-') from t order by id").await
}

#[test]
fn the_text_of_null_is_a_value_or_null_as_columns_have_it() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int, a text, b text)").await;
        let new = "copy t from stdin (format csv, null 'none', force_not_null (a), force_null (b))";
        assert_eq!(client.copy(new, "1,none,\"none\"\n2,\"none\",none\n").await, "COPY 2");
        let old = "copy t (id, b, a) from stdin csv null 'none' force not null a force null b, id";
        assert_eq!(client.copy(old, "3,\"none\",none\n").await, "COPY 1");
        assert_eq!(client.copy("copy t from stdin csv freeze", "4,,\"\"\n").await, "COPY 1");
        assert_eq!(rows(&mut client).await, "1|none|-\n2|none|-\n3|none|-\n4|-|\nSELECT 4");
        for (options, error) in [
            ("(format csv, force_not_null (c))", "ERROR 42703"),
            ("(format csv, force_null (b))", "ERROR 42P10"),
            ("(format csv, force_quote (a))", "ERROR 0A000"),
            ("(force_null (a))", "ERROR 0A000"),
        ] {
            let told = client.copy(&format!("copy t (id, a) from stdin {options}"), "").await;
            assert!(told.starts_with(error), "{options}: {told}");
        }
    });
}

#[test]
fn a_header_has_the_columns_names_if_it_is_looked_at() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int, a text, b text)").await;
        assert_eq!(client.copy("copy t (a, id) from stdin (header match)", "a\tid\nx\t1\n").await, "COPY 1");
        assert_eq!(client.copy("copy t from stdin (format csv, header match)", "id,\"a\",b\n2,y,z\n").await, "COPY 1");
        for (header, error) in [
            ("id\ta\n", "wrong number of fields in header line: got 2, expected 3"),
            ("id\tb\ta\n", "column name mismatch in header line field 2: got \"b\", expected \"a\""),
            ("\\N\ta\tb\n", "column name mismatch in header line field 1: got null value (\"\\N\"), expected \"id\""),
        ] {
            let told = client.copy("copy t from stdin (header match)", header).await;
            assert!(told.starts_with("ERROR 22P04") && told.contains(error), "{told}");
        }
        assert_eq!(rows(&mut client).await, "1|x|-\n2|y|z\nSELECT 2");
    });
}

#[test]
fn names_of_columns_are_quoted_only_where_they_must_be() {
    run(async |node| {
        let mut client = node.client().await;
        let query = "select 'x' as \"a,b\", 1 as \"NULL\", '' as \"\"\"q\"";
        let out = client.copied_out(&format!("copy ({query}) to stdout (format csv, header, force_quote *)")).await;
        assert_eq!(String::from_utf8(out).unwrap(), "\"a,b\",NULL,\"\"\"q\"\n\"x\",\"1\",\"\"\n");
    });
}
