//! What clients are told about statements and values.

use annulus_relation::SqlType as T;

use crate::testing::run;

#[test]
fn parameters_that_nothing_decides_are_text() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key, n numeric)").await;
        for (sql, types) in [
            ("select $1", vec![T::Text]),
            ("select $1, id from t", vec![T::Text]),
            ("select $1 as x, count(*) from t group by id", vec![T::Text]),
            ("select x from (select $1 as x from t) s", vec![T::Text]),
            ("select $1 union all select id from t", vec![T::Int4]),
            ("select 1 union select $1 union select $2", vec![T::Int4, T::Int4]),
            ("select $1 union select 'x'", vec![T::Text]),
            ("insert into t select $1, $2 from t", vec![T::Int4, T::Numeric(None)]),
            ("select $1::regclass, $2 from t where id = $3", vec![T::Regclass, T::Text, T::Int4]),
        ] {
            client.session.parse("", sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(client.session.describe("").await.unwrap().parameters, types, "{sql}");
        }
    });
}

#[test]
fn objects_are_written_and_read_by_name() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create schema s; create table s.t (id int primary key); create table \"U\" ()").await;
        let id = client.ok("select 's.t'::regclass::oid").await;
        assert_eq!(client.ok("select 's.t'::regclass, '\"U\"'::regclass").await, "s.t|\"U\"\nSELECT 1");
        assert_eq!(
            client.ok("copy (select 's.t'::regclass, array['\"U\"'::regclass]) to stdout").await,
            "s.t\t{\"\\\\\"U\\\\\"\"}\nCOPY 1"
        );
        let env = client.session.env();
        let read = client.session.read("s.t", &T::Regclass, &env).unwrap();
        assert_eq!(client.session.print(&read, &T::Oid, &env), id.lines().next().unwrap());
        let read = client.session.read("{text,NULL,int4}", &T::Regtype.array(), &env).unwrap();
        assert_eq!(client.session.print(&read, &T::Regtype.array(), &env), "{text,NULL,integer}");
        assert_eq!(client.session.read("nothing", &T::Regclass, &env).unwrap_err().state().0, "42P01");
        client.ok("set search_path to s").await;
        assert_eq!(client.ok("select 's.t'::regclass, 't'::regclass").await, "t|t\nSELECT 1");
    });
}

#[test]
fn drivers_are_told_to_prepare_again() {
    run(async |node| {
        let mut client = node.client().await;
        client.ok("create table t (id int primary key)").await;
        client.session.parse("s", "select * from t", &[]).await.unwrap();
        client.session.describe("s").await.unwrap();
        client.ok("alter table t add column v text").await;
        let Err(error) = client.session.bind("s", Vec::new()).await else { panic!("its columns are others") };
        assert_eq!((error.state().0, error.report().routine), ("0A000", Some("RevalidateCachedQuery")));
    });
}
