//! Tests of the binary format, with data that PostgreSQL 15 has written.

use crate::testing::run;

/// A row of values, one of NULLs, and one of extremes.
const POSTGRESQL: &[u8] = include_bytes!("postgresql15.bin");

const TABLE: &str = "(a int primary key, b smallint, c bigint, d real, e double precision, f numeric(10,3), g text, \
    h varchar(5), i char(4), j bytea, k date, l time, m timestamp, n timestamptz, o interval, p uuid, q json, r jsonb, \
    s int[], t text[], u boolean)";

#[test]
fn data_of_postgresql_is_read_and_written_byte_for_byte() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok(&format!("create table t {TABLE}")).await;
        assert_eq!(client.copy("copy t from stdin with (format binary)", POSTGRESQL).await, "COPY 3");
        assert_eq!(
            client.ok("select f, i, k, n at time zone 'utc', o, r, s from t where a = 1").await,
            "12345.678|xy  |\
            2026-11-28|2026-11-28 01:02:03|1 year 2 mons 3 days 04:05:06|{\"a\": [1, 2]}|{1,NULL,3}\nSELECT 1"
        );
        assert_eq!(client.copied_out("copy t to stdout with binary").await, POSTGRESQL);
        assert_eq!(client.copied_out("copy (select * from t order by a) to stdout (format binary)").await, POSTGRESQL);
        let empty = client.copied_out("copy (select a from t where a = 7) to stdout (format binary)").await;
        assert_eq!(empty, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
    });
}

#[test]
fn networks_are_written_and_read_as_postgresql_does() {
    let row: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x04\
        \0\0\0\x08\x02\x08\0\x04\x0a\x01\x02\x03\
        \0\0\0\x08\x02\x08\x01\x04\x0a\0\0\0\
        \0\0\0\x14\x03\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
        \0\0\0\x24\0\0\0\x01\0\0\0\x01\0\0\x03\x65\0\0\0\x02\0\0\0\x01\
        \0\0\0\x08\x02\x20\0\x04\x0a\x01\x02\x03\xff\xff\xff\xff\xff\xff";
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (a inet primary key, b cidr, c inet, d inet[])").await;
        assert_eq!(client.copy("copy t from stdin (format binary)", row).await, "COPY 1");
        assert_eq!(client.copied_out("copy t to stdout (format binary)").await, row);
        let text = client.copied_out("copy t to stdout").await;
        assert_eq!(text, b"10.1.2.3/8\t10.0.0.0/8\t::1\t{10.1.2.3,NULL}\n");
        client.ok("delete from t").await;
        assert_eq!(client.copy("copy t from stdin", text).await, "COPY 1");
        assert_eq!(client.copied_out("copy t to stdout (format binary)").await, row);
    });
}

/// Drivers take each piece for a row, as PostgreSQL sends them.
#[test]
fn each_piece_is_a_row_the_first_one_with_the_header() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table n (id int2 primary key); insert into n values (1), (2)").await;
        let pieces = client.pieces_out("copy n to stdout (format binary)").await;
        let expected: [&[u8]; 3] =
            [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x01", b"\0\x01\0\0\0\x02\0\x02", b"\xff\xff"];
        assert_eq!(pieces, expected);
        assert_eq!(client.pieces_out("copy n to stdout (format csv, header)").await, ["id\n", "1\n", "2\n"]);
    });
}

#[test]
fn what_is_wrong_with_binary_data_leaves_no_row() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok(&format!("create table t {TABLE}; create table n (id int, v varchar(2))")).await;
        let binary = "copy t from stdin binary";
        let cut = client.copy(binary, &POSTGRESQL[..POSTGRESQL.len() - 9]).await;
        assert!(cut.starts_with("ERROR 22P04: unexpected EOF in COPY data"), "{cut}");
        let text = client.copy(binary, "1\t2\n3\t4\n5\t6\n7\t8\n9\n").await;
        assert!(text.starts_with("ERROR 22P04: COPY file signature not recognized"), "{text}");
        let width = client.copy("copy n from stdin binary", POSTGRESQL).await;
        assert!(width.starts_with("ERROR 22P04: row field count is 21, expected 2"), "{width}");
        let number: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x05abcde\xff\xff\xff\xff";
        let number = client.copy("copy n from stdin binary", number).await;
        assert!(number.starts_with("ERROR 22P03: incorrect binary data format"), "{number}");
        let long: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x03abc";
        let long = client.copy("copy n from stdin binary", long).await;
        assert!(long.starts_with("ERROR 22001"), "{long}");
        assert_eq!(client.ok("select count(*) from t").await, "0\nSELECT 1");
        for (option, told) in [
            ("delimiter ','", "42601: cannot specify DELIMITER in BINARY mode"),
            ("null 'x'", "42601: cannot specify NULL in BINARY mode"),
            ("header", "0A000: cannot specify HEADER in BINARY mode"),
            ("quote 'x'", "0A000: COPY quote available only in CSV mode"),
        ] {
            let refused = client.told(&format!("copy t to stdout with (format binary, {option})")).await;
            assert!(refused.starts_with(&format!("ERROR {told}")), "{refused}");
        }
    });
}
