//! What tools ask about the catalog: the statements of psql, pg_dump, SQLAlchemy, Django and JDBC, as they were recorded.

use std::sync::Arc;

use annulus_relation::catalog::{
    Action, Check, Default, ForeignKey, Identity, Index, IndexKey, IndexState, KeyPart, Retyped, Retyping, Sequence,
    Standing, Succession, Unique,
};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};

use super::world::World;
use crate::bind::{Constant, NoSession, SystemFunctions};
use crate::query::{Relation, Scope};
use crate::system::SystemCatalog;

/// What a session would answer.
pub(super) struct Answers(pub Scope);

impl SystemFunctions for Answers {
    fn fact(&self, which: Constant) -> String {
        match which {
            Constant::CurrentDatabase => "db".into(),
            Constant::Version => "PostgreSQL 15".into(),
            _ => "postgres".into(),
        }
    }

    fn search_path(&self, implicit: bool) -> Vec<String> {
        let implied = implicit.then(|| "pg_catalog".to_owned());
        implied.into_iter().chain(["public".to_owned()]).collect()
    }

    fn backend_pid(&self) -> i32 {
        1
    }

    fn clock(&self) -> i64 {
        0
    }

    fn statement_start(&self) -> i64 {
        0
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(4);
    }

    fn random_number(&self) -> f64 {
        NoSession.random_number()
    }

    fn set_seed(&self, _: f64) {}

    fn snowflake(&self) -> i64 {
        0
    }

    fn nextval(&self, sequence: u32) -> SqlResult<i64> {
        NoSession.nextval(sequence)
    }

    fn currval(&self, sequence: u32) -> SqlResult<i64> {
        NoSession.currval(sequence)
    }

    fn lastval(&self) -> SqlResult<i64> {
        NoSession.lastval()
    }

    fn setval(&self, sequence: u32, value: i64, called: bool) -> SqlResult<i64> {
        NoSession.setval(sequence, value, called)
    }

    fn setting(&self, name: &str) -> Option<String> {
        match name {
            "server_version_num" => Some("150000".into()),
            "default_table_access_method" => Some("heap".into()),
            _ => None,
        }
    }

    fn set_config(&self, _: &str, value: &str, _: bool) -> SqlResult<String> {
        Ok(value.to_owned())
    }

    fn object(&self, kind: &SqlType, name: &str) -> SqlResult<Option<u32>> {
        SystemCatalog(&self.0).object(kind, name)
    }

    fn object_name(&self, kind: &SqlType, oid: u32) -> Option<String> {
        SystemCatalog(&self.0).object_name(kind, oid)
    }

    fn call(&self, function: &str, args: &[Value]) -> SqlResult<Value> {
        SystemCatalog(&self.0).call(function, args).unwrap_or_else(|| Err(SqlError::unsupported(function)))
    }
}

fn world() -> World {
    let mut world = World::new(
        "CREATE TABLE emp (id int PRIMARY KEY, name text NOT NULL, dept int);
         CREATE TABLE ord (id bigint PRIMARY KEY, emp int NOT NULL, code varchar(8), n int, g int, tags text[]);
         CREATE UNIQUE INDEX ord_code ON ord (code);
         CREATE VIEW rich AS SELECT id, name FROM emp WHERE dept > 1;",
    );
    let parent = world.table("emp").id;
    let sequence = Sequence {
        id: 20_000,
        schema: 2200,
        name: "ord_id_seq".into(),
        ty: SqlType::Int8,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owner: Some((world.table("ord").id, 1)),
        comment: None,
    };
    world.change("ord", |table| {
        table.comment = Some("orders".into());
        table.columns[0].default = Some(Default::Identity(Identity::ByDefault, 20_000));
        table.columns[2].default = Some(Default::Expression("'x'::character varying".into()));
        table.columns[3].comment = Some("number".into());
        table.columns[4].default = Some(Default::Generated("(n * 2)".into()));
        table.checks.push(Check {
            name: "ord_n_check".into(),
            expression: "(n > 0)".into(),
            standing: Standing::new(true),
        });
        table.foreign_keys.push(ForeignKey {
            name: "ord_emp_fkey".into(),
            columns: vec![2],
            parent,
            parent_columns: vec![1],
            on_delete: Action::Cascade,
            on_update: Action::NoAction,
            standing: Standing::new(true),
        });
        let key = |part, descending| IndexKey { part, descending, nulls_first: descending };
        table.indexes.push(Index {
            id: 20_001,
            name: "ord_expr".into(),
            unique: Unique::No,
            keys: vec![
                key(KeyPart::Expression("lower((code)::text)".into(), SqlType::Text), false),
                key(KeyPart::Column(4), true),
            ],
            include: vec![2],
            predicate: Some("(n > 5)".into()),
            constraint: None,
            state: IndexState::Ready,
            comment: None,
        });
    });
    world.change("emp", |table| table.referenced_by.push(1));
    world.add(Relation::Sequence(Arc::new(sequence)));
    world
}

fn all_run(statements: &str) {
    let world = world();
    let oid = world.table("ord").id.to_string();
    let mut wrong = Vec::new();
    for statement in statements.split("\n;;\n") {
        let statement = statement.trim().replace("@OID@", &oid);
        if let Err(error) = world.query(&statement) {
            let place =
                error.report().position.map(|at| statement.chars().skip(at as usize - 1).take(40).collect::<String>());
            wrong.push(format!("{} {error} at {place:?}\n{statement}", error.state()));
        }
    }
    assert!(wrong.is_empty(), "{} fail:\n{}", wrong.len(), wrong.join("\n---\n"));
}

#[test]
fn psql() {
    all_run(include_str!("tools/psql.sql"));
}

#[test]
fn pg_dump() {
    all_run(include_str!("tools/pg_dump.sql"));
}

#[test]
fn sqlalchemy() {
    all_run(include_str!("tools/sqlalchemy.sql"));
    all_run(include_str!("tools/sqlalchemy_1.sql"));
}

#[test]
fn django() {
    all_run(include_str!("tools/django.sql"));
}

#[test]
fn jdbc() {
    all_run(include_str!("tools/jdbc.sql"));
}

#[test]
fn progress_is_shown() {
    let mut world = world();
    let shown = |world: &World| {
        let query = "SELECT relname, index_relid, command, phase, tuples_done, datname
                     FROM pg_stat_progress_create_index JOIN pg_class c ON c.oid = relid ORDER BY tuples_done";
        let rows = world.query(query).unwrap_or_else(|error| panic!("{error}")).1;
        rows.into_iter().map(|row| row.join("|")).collect::<Vec<_>>()
    };
    assert!(shown(&world).is_empty());
    world.change("ord", |table| {
        let index = table.indexes.iter_mut().find(|index| index.name == "ord_expr");
        index.unwrap().state = IndexState::Filling { done: Vec::new(), rows: 70 };
    });
    world.change("emp", |table| {
        let columns = vec![Retyped { column: 1, ty: SqlType::Int8, using: None, default: None }];
        let succession = Succession { rows: 99, ..Succession::new(9) };
        let retyping = Retyping { columns, keys: Vec::new(), succession };
        table.indexes[0].state = IndexState::Retyped(retyping);
    });
    let wanted = ["ord|20001|CREATE INDEX|building index|70|db", "emp|0|ALTER TABLE|copying rows|99|db"];
    assert_eq!(shown(&world), wanted);
}

#[test]
fn definitions_are_shown() {
    let world = world();
    let rows = |sql: &str| -> Vec<String> {
        let rows = world.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).1;
        rows.into_iter().map(|row| row.join("|")).collect()
    };
    assert_eq!(
        rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'ord' ORDER BY 1"),
        [
            "CREATE INDEX ord_expr ON public.ord USING btree (lower((code)::text), n DESC) INCLUDE (emp) WHERE (n > 5)",
            "CREATE UNIQUE INDEX ord_code ON public.ord USING btree (code)",
            "CREATE UNIQUE INDEX ord_pkey ON public.ord USING btree (id)",
        ]
    );
    assert_eq!(
        rows(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ord'::regclass ORDER BY 1"
        ),
        [
            "ord_emp_fkey|FOREIGN KEY (emp) REFERENCES emp(id) ON DELETE CASCADE",
            "ord_n_check|CHECK ((n > 0))",
            "ord_pkey|PRIMARY KEY (id)",
        ]
    );
    assert_eq!(
        rows(
            "SELECT column_name, data_type, is_nullable, column_default, is_identity, generation_expression FROM information_schema.columns WHERE table_name = 'ord' ORDER BY ordinal_position LIMIT 5"
        ),
        [
            "id|bigint|NO|NULL|YES|NULL",
            "emp|integer|NO|NULL|NO|NULL",
            "code|character varying|YES|'x'::character varying|NO|NULL",
            "n|integer|YES|NULL|NO|NULL",
            "g|integer|YES|NULL|NO|(n * 2)",
        ]
    );
    assert_eq!(rows("SELECT 'pg_class'::regclass::oid, 'public.ord'::regclass::text"), ["1259|ord"]);
    assert_eq!(rows("SELECT obj_description('ord'::regclass), col_description('ord'::regclass, 4)"), ["orders|number"]);
    assert_eq!(rows("SELECT indkey FROM pg_index WHERE indexrelid = 20001"), ["0 4 2"]);
    assert_eq!(rows("SELECT typname FROM pg_type WHERE oid IN (23, 1007) ORDER BY oid"), ["int4", "_int4"]);
}
