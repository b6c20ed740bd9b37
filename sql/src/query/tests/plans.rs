//! What is read, and how; what bounds a query.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::world::World;
use crate::bind::ParamTypes;
use crate::query::{QueryEngine, ScanRequest, Statement};

fn world() -> World {
    let mut world = World::new(
        "CREATE TABLE item (a int, b int, c text, d numeric, e float8, PRIMARY KEY (a, b));
         CREATE TABLE part (id int PRIMARY KEY, item int NOT NULL, tag text);
         CREATE INDEX part_item ON part (item);",
    );
    let items: Vec<String> = (0..400).map(|n| format!("{}|{}|t{}|{}.5|{}", n / 4, n % 4, n % 7, n, n)).collect();
    world.copy("item", &items.join("\n"));
    let parts: Vec<String> = (0..400).map(|n| format!("{n}|{}|x{n}", n % 100)).collect();
    world.copy("part", &parts.join("\n"));
    world
}

/// A query's rows, and what was read for it: how many rows of which index.
fn read(world: &World, sql: &str) -> (Vec<String>, Vec<(String, usize)>) {
    let rows = world.query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}")).1;
    let mut total: Vec<(String, usize)> = Vec::new();
    for (index, count) in world.scanned.lock().unwrap().iter() {
        match total.iter_mut().find(|(known, _)| known == index) {
            Some((_, sum)) => *sum += count,
            None => total.push((index.clone(), *count)),
        }
    }
    (rows.into_iter().map(|row| row.join("|")).collect(), total)
}

#[test]
fn filters_choose_indexes_and_bounds() {
    let world = world();
    let scanned = |sql: &str| read(&world, sql).1;
    let primary = |count| vec![("item_pkey".to_owned(), count)];
    assert_eq!(scanned("SELECT c FROM item WHERE a = 3 AND b = 2"), primary(1));
    assert_eq!(scanned("SELECT c FROM item WHERE a = 3"), primary(4));
    assert_eq!(scanned("SELECT c FROM item WHERE a IN (3, 5) AND b >= 2"), primary(4));
    assert_eq!(scanned("SELECT c FROM item WHERE a BETWEEN 10 AND 12 AND c = 't1'"), primary(12));
    assert_eq!(scanned("SELECT c FROM item WHERE a < 5 AND a > 2"), primary(8));
    assert_eq!(scanned("SELECT c FROM item WHERE a = 1 AND a = 2"), []);
    assert_eq!(scanned("SELECT c FROM item WHERE a = NULL"), []);
    assert_eq!(scanned("SELECT c FROM item WHERE b = 2"), primary(400));
    assert_eq!(scanned("SELECT tag FROM part WHERE item = 7"), [("part_item".to_owned(), 4)]);
    assert_eq!(scanned("SELECT tag FROM part WHERE item = 7 AND id = 7"), [("part_pkey".to_owned(), 1)]);
}

#[test]
fn partial_indexes_and_those_over_expressions_are_read_where_they_hold_what_is_wanted() {
    let mut world = world();
    world.create(
        "CREATE INDEX item_late ON item (b) WHERE e > 395; CREATE INDEX item_upper ON item (upper(c), a);
        CREATE INDEX item_early ON item (b) WHERE a < 2; CREATE INDEX part_none ON part (id) WHERE tag IS NULL",
    );
    let scanned = |sql: &str| read(&world, sql).1;
    let of = |index: &str, count| vec![(index.to_owned(), count)];
    assert_eq!(scanned("SELECT count(c) FROM item WHERE a < 2"), of("item_pkey", 8));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE b = 1 AND a = 1 AND c <> 'x'"), of("item_pkey", 1));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE b = 1 AND a < 2"), of("item_early", 2));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE b > 2 AND a IN (0, 1)"), of("item_pkey", 2));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE b = 1 AND (a = 0 OR a = 1)"), of("item_pkey", 2));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE b = 1 AND a <= 2"), of("item_pkey", 12));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE upper(c) = 'T3' AND a BETWEEN 20 AND 29"), of("item_upper", 6));
    assert_eq!(scanned("SELECT count(c) FROM item WHERE lower(c) = 't3' AND a = 4"), of("item_pkey", 4));
    assert_eq!(scanned("SELECT c FROM item WHERE a < 2 ORDER BY b LIMIT 3"), of("item_early", 3));
    assert_eq!(scanned("SELECT count(*) FROM part WHERE tag IS NULL"), of("part_none", 0));
    let (rows, scanned) =
        read(&world, "SELECT count(*) FROM part p JOIN item i ON i.a = p.item WHERE p.id = 42 AND upper(i.c) = 'T1'");
    assert_eq!(
        (rows, scanned),
        (vec!["1".to_owned()], vec![("part_pkey".to_owned(), 1), ("item_upper".to_owned(), 1)])
    );
}

#[test]
fn joins_look_up_the_keys_of_the_other_side() {
    let world = world();
    let (rows, scanned) =
        read(&world, "SELECT p.tag, i.c FROM part p JOIN item i ON i.a = p.item WHERE p.id = 42 AND i.b = 1");
    assert_eq!(rows, ["x42|t1"]);
    assert_eq!(scanned, [("part_pkey".to_owned(), 1), ("item_pkey".to_owned(), 1)]);
    let (rows, scanned) =
        read(&world, "SELECT count(*) FROM item i JOIN part p ON p.item = i.a WHERE i.a < 3 AND i.b = 0");
    assert_eq!(rows, ["12"]);
    assert_eq!(scanned, [("item_pkey".to_owned(), 12), ("part_item".to_owned(), 12)]);
}

#[test]
fn orders_of_indexes_spare_sorting_and_reading() {
    let world = world();
    let (rows, scanned) = read(&world, "SELECT a, b FROM item ORDER BY a, b LIMIT 3");
    assert_eq!(rows, ["0|0", "0|1", "0|2"]);
    assert_eq!(scanned, [("item_pkey".to_owned(), 3)]);
    let (rows, scanned) = read(&world, "SELECT b, c FROM item WHERE a = 9 ORDER BY b");
    assert_eq!(rows, ["0|t1", "1|t2", "2|t3", "3|t4"]);
    assert_eq!(scanned, [("item_pkey".to_owned(), 4)]);
    let plan = world.explain("SELECT a, b FROM item ORDER BY a, b", false).unwrap();
    assert!(!plan.contains("Sort"), "{plan}");
    let plan = world.explain("SELECT a, b FROM item ORDER BY b", false).unwrap();
    assert!(plan.contains("Sort"), "{plan}");
    let (rows, scanned) = read(&world, "SELECT tag FROM part ORDER BY item LIMIT 2");
    assert_eq!(rows.len(), 2);
    assert_eq!(scanned, [("part_item".to_owned(), 2)]);
    let (_, scanned) = read(&world, "SELECT 1 FROM item LIMIT 5");
    assert_eq!(scanned, [("item_pkey".to_owned(), 5)]);
}

#[test]
fn plans_say_what_was_done() {
    let world = world();
    let plan = world.explain("SELECT c FROM item WHERE a = 3", true).unwrap();
    assert!(plan.contains("Index Scan using item_pkey on item, ranges=1"), "{plan}");
    assert!(
        ["actual rows=4", "rows read=4", "bytes read=10", "round trips=1"].iter().all(|fact| plan.contains(fact)),
        "{plan}"
    );
    assert!(plan.contains("Execution Time"), "{plan}");
}

#[test]
fn small_relations_are_joined_first() {
    let world = world();
    let sql = "SELECT count(*) FROM item i, part p, (VALUES (1), (2)) v(x) WHERE p.item = i.a AND i.b = v.x";
    let plan = world.explain(sql, false).unwrap();
    assert!(!plan.contains("CrossJoin"), "{plan}");
    assert_eq!(read(&world, sql).0, ["800"]);
}

#[test]
fn parameters_have_types_and_values() {
    let world = world();
    let engine = QueryEngine::new(1, 1 << 24).unwrap();
    let parse = |sql: &str| {
        use sqlparser::{ast::Statement as Ast, dialect::PostgreSqlDialect, parser::Parser};
        match Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0) {
            Ast::Query(query) => query,
            other => panic!("{other}"),
        }
    };
    let query = parse("SELECT c, $2::text FROM item WHERE a = $1 AND b IN (SELECT $3::int) LIMIT $4");
    let planned = engine.plan(&*query, &world.scope(), &ParamTypes::new()).unwrap();
    assert_eq!(planned.params.finish().unwrap(), [SqlType::Int4, SqlType::Text, SqlType::Int4, SqlType::Int8]);
    assert_eq!(planned.columns, [("c".to_owned(), SqlType::Text), ("text".to_owned(), SqlType::Text)]);
    let values = [Value::Int4(5), Value::text("p"), Value::Int4(2), Value::Int8(1)];
    let rows = world
        .query_with(
            "SELECT c, $2::text FROM item WHERE a = $1 AND b IN (SELECT $3::int) LIMIT $4",
            &planned.params,
            &values,
        )
        .unwrap()
        .1;
    assert_eq!(rows, [["t1".to_owned(), "p".to_owned()]]);
    assert_eq!(world.scanned.lock().unwrap()[0].0, "item_pkey");
    let open = engine.plan(&*parse("SELECT nosuch FROM item"), &world.scope(), &ParamTypes::new()).unwrap_err();
    assert_eq!(open.state(), SqlState::UNDEFINED_COLUMN);
}

#[test]
fn errors_say_where() {
    let error = world().query("SELECT a, nosuch FROM item").unwrap_err();
    assert_eq!(error.report().position, Some(11));
    let error = world().query("SELECT a FROM item WHERE nosuch.x = 1").unwrap_err();
    assert_eq!((error.state(), error.report().position), (SqlState::UNDEFINED_TABLE, Some(26)));
    let error = world().query("SELECT * FROM public.nosuch").unwrap_err();
    assert_eq!((error.state(), error.report().position), (SqlState::UNDEFINED_TABLE, Some(15)));
}

#[test]
fn memory_is_bounded() {
    let world = world();
    let engine = QueryEngine::new(1, 32 << 20).unwrap();
    let run = |sql: &str| {
        world.on(&engine, sql, |engine, statement, scope| engine.run(statement, scope, &ParamTypes::new(), &[]))
    };
    let error = run("SELECT array_agg(g) FROM generate_series(1, 3000000) g").unwrap_err();
    assert_eq!(error.state(), SqlState::OUT_OF_MEMORY, "{error:?}");
    assert!(error.report().hint.is_some());
    // So is what functions make of a batch of rows, and what there is for each row of a window.
    for many in [
        "SELECT count(DISTINCT s) FROM (SELECT repeat('x', 20000 + g::int) s FROM generate_series(1, 4000) g) x",
        "SELECT repeat('x', 20000 + g::int) FROM generate_series(1, 4000) g",
        "SELECT count(a) FROM (SELECT array_agg(g) OVER (ORDER BY g) a FROM generate_series(1, 4000) g) x WHERE a[1] = 1",
    ] {
        let error = run(many).unwrap_err();
        assert_eq!(error.state(), SqlState::OUT_OF_MEMORY, "{many}: {error:?}");
    }
    let much = run("SELECT count(DISTINCT s) FROM (SELECT repeat('x', 1000) || g s FROM generate_series(1, 9000) g) x");
    assert_eq!(much.unwrap().1, [["9000".to_owned()]]);
    // Another one goes on, and what is sorted spills.
    assert_eq!(run("SELECT count(*) FROM item").unwrap().1, [["400".to_owned()]]);
    let sorted = run("SELECT g FROM generate_series(1, 6000000) g ORDER BY g DESC OFFSET 5999999").unwrap();
    assert_eq!(sorted.1, [["1".to_owned()]]);
}

#[test]
fn an_abandoned_query_stops_and_a_failed_scan_ends_it() {
    let world = world();
    let engine = QueryEngine::new(1, 1 << 24).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let start = |sql: &str| -> SqlResult<crate::query::Running> {
        let parsed = sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::PostgreSqlDialect {}, sql);
        let Ok([sqlparser::ast::Statement::Query(query)]) = parsed.as_deref() else { panic!("{sql}") };
        engine.run(Statement::from(&**query), &world.scope(), &ParamTypes::new(), &[])
    };
    runtime.block_on(async {
        let mut running = start("SELECT c FROM item").unwrap();
        let request: ScanRequest = running.scans.recv().await.unwrap();
        drop(running);
        let closed = async {
            let mut reply = request.reply;
            reply.closed().await;
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), closed).await.expect("the query goes on");

        let mut running = start("SELECT c FROM item").unwrap();
        let request = running.scans.recv().await.unwrap();
        let conflict = SqlError::new(SqlState::SERIALIZATION_FAILURE, "conflict");
        request.reply.send(Err(conflict.clone())).unwrap();
        assert_eq!(running.rows.recv().await.unwrap(), Err(conflict));
        assert_eq!(running.rows.recv().await, None);

        for endless in [
            "SELECT count(*) FROM generate_series(1, 9000000000000) g",
            // One batch of rows takes long.
            "SELECT count(b) FROM (SELECT bit_xor(g) OVER (ORDER BY g ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) b
               FROM generate_series(1, 400000) g) x WHERE b > 0",
        ] {
            let mut endless = start(endless).unwrap();
            let waited = tokio::time::timeout(std::time::Duration::from_millis(1_500), endless.rows.recv()).await;
            assert!(waited.is_err());
            drop(endless);
            let mut next = start("SELECT 1").unwrap();
            let rows = tokio::time::timeout(std::time::Duration::from_secs(10), next.rows.recv()).await;
            assert_eq!(rows.expect("the thread is still busy"), Some(Ok(vec![vec![Value::Int4(1)]])));
        }
    });
}
