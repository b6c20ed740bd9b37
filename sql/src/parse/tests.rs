use super::*;

fn error(text: &str) -> (String, Option<u32>) {
    let error = parse(text).unwrap_err();
    (error.to_string(), error.report().position)
}

fn one(text: &str) -> Parsed {
    let mut parsed = parse(text).unwrap();
    assert_eq!(parsed.len(), 1, "{text}");
    parsed.remove(0)
}

#[test]
fn a_text_is_split_into_statements_with_their_texts() {
    let parsed = parse(" select 1 ; ; update \"T\" set a = ';' -- end;\n; /* nothing */ ;").unwrap();
    let texts: Vec<&str> = parsed.iter().map(|parsed| &*parsed.text).collect();
    assert_eq!(texts, ["select 1", "update \"T\" set a = ';'"]);
    assert!(parse("").unwrap().is_empty());
    assert!(parse(" ;; -- x").unwrap().is_empty());
}

#[test]
fn syntax_errors_have_postgresqls_words_and_places() {
    let cases = [
        ("selec 1", "syntax error at or near \"selec\"", 1),
        ("select 1 from", "syntax error at end of input", 14),
        ("select 1;\n  select * form t", "syntax error at or near \"t\"", 27),
        ("select 'ä', )", "syntax error at or near \")\"", 13),
        ("create table t (a int,)", "syntax error at or near \")\"", 23),
        ("select 'abc", "unterminated quoted string at or near \"'abc\"", 8),
        ("begin isolation level weird", "syntax error at or near \"weird\"", 23),
        ("commit 7", "syntax error at or near \"7\"", 8),
        ("set x", "syntax error at end of input", 6),
        ("set x;", "syntax error at or near \";\"", 6),
        ("select 1 +; select 2", "syntax error at or near \";\"", 11),
        ("select (1 ;", "syntax error at or near \";\"", 11),
        ("select 1; select (1 ", "syntax error at end of input", 21),
        ("select a b c from t", "syntax error at or near \"c\"", 12),
        ("insert into t values (1,2", "syntax error at end of input", 26),
        ("update t set", "syntax error at end of input", 13),
        ("select * from t where a = ", "syntax error at end of input", 27),
        ("select 1 union;", "syntax error at or near \";\"", 15),
        ("select a,, b from t", "syntax error at or near \",\"", 10),
        ("select 1 as of system time;", "syntax error at or near \";\"", 27),
        ("copy t from stdin with (format csv", "syntax error at end of input", 35),
    ];
    for (text, message, position) in cases {
        assert_eq!(error(text), (message.to_owned(), Some(position)), "{text}");
    }
}

#[test]
fn places_in_the_tree_are_positions_in_the_text() {
    let parsed = one("select 1\n  , ähm from t");
    let Statement::Sql(statement) = parsed.statement else { panic!() };
    let ast::Statement::Query(query) = *statement else { panic!() };
    let select = query.body.as_select().unwrap();
    let ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(ident)) = &select.projection[1] else { panic!() };
    assert_eq!((ident.span.start.line, ident.span.start.column), (1, 14));
}

#[test]
fn names_are_folded_and_cut() {
    let long = "x".repeat(80);
    let parsed = one(&format!("select FOO, \"Foo\", {long} from T"));
    let Statement::Sql(statement) = parsed.statement else { panic!() };
    assert_eq!(statement.to_string(), format!("SELECT foo, \"Foo\", {} FROM t", "x".repeat(63)));
}

#[test]
fn sizes_are_bounded() {
    let deep = format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(parse(&deep).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX);
    let chain = format!("select 1{}", "+1".repeat(100_000));
    assert_eq!(parse(&chain).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX);
    let links = [
        "[1]",
        " in (1)",
        " not in (1)",
        " ilike 'a'",
        " similar to 'a'",
        " between 1 and 2",
        " operator(pg_catalog.+) 1",
        " notnull",
        " is null",
        "::int",
        " at time zone 'utc'",
        " or a",
    ];
    for link in links {
        let chain = format!("select a{} from t", link.repeat(100_000));
        assert_eq!(parse(&chain).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX, "{link}");
        assert!(parse(&format!("select a{} from t", link.repeat(3))).is_ok(), "{link}");
    }
    // Those that stand behind each other in conditions of their own are no chain.
    for condition in ["a in (1)", "a between 1 and 2", "b[1][2] ilike 'x'"] {
        let conditions = vec![condition; 700].join(" or ");
        assert!(parse(&format!("select 1 from t where {conditions}")).is_ok(), "{condition}");
    }
    let unions = format!("select 1{}", " union select 1".repeat(100_000));
    assert_eq!(parse(&unions).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX);
    let rows = format!("insert into t values (-1, 'a'){}", ", (-2, 'b')".repeat(10_000));
    assert!(parse(&rows).is_ok());
    // What is looked for before `SET` is looked for once.
    let rows = vec!["(1, array[1, 2])"; 20_000].join(", ");
    assert!(parse(&format!("insert into t values {rows} on conflict (id) do update set a[1] = 2")).is_ok());
    assert_eq!(parse(&"x".repeat(MAX_TEXT + 1)).unwrap_err().state(), SqlState::PROGRAM_LIMIT_EXCEEDED);
}

#[test]
fn transactions_and_their_modes() {
    let Statement::Begin("START TRANSACTION", modes) =
        one("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").statement
    else {
        panic!()
    };
    let isolation = Some(Isolation::RepeatableRead);
    assert_eq!(modes, Modes { isolation, read_only: Some(true), deferrable: None });
    for text in ["begin", "begin work", "begin transaction read write not deferrable"] {
        assert!(matches!(one(text).statement, Statement::Begin("BEGIN", _)), "{text}");
    }
    assert!(matches!(one("end and chain").statement, Statement::Commit(true)));
    assert!(matches!(one("rollback transaction").statement, Statement::Rollback(false)));
    assert!(matches!(one("rollback to savepoint a").statement, Statement::RollbackTo(name) if name == "a"));
    assert!(matches!(one("release a").statement, Statement::Release(_)));
    let text = "set session characteristics as transaction isolation level serializable";
    assert!(matches!(one(text).statement, Statement::SetCharacteristics(_)));
}

#[test]
fn settings() {
    let set = |text: &str| match one(text).statement {
        Statement::Set { local, name, value: SetValue::Values(values) } => (local, name, values.join("|")),
        other => panic!("{other:?}"),
    };
    let is = |local, name: &str, value: &str| (local, name.to_owned(), value.to_owned());
    assert_eq!(set("set local Statement_Timeout = 100"), is(true, "statement_timeout", "100"));
    assert_eq!(set("set search_path to a, \"B\", 'c'"), is(false, "search_path", "a|B|c"));
    assert_eq!(set("set time zone 'Europe/Berlin'"), is(false, "timezone", "Europe/Berlin"));
    assert_eq!(set("set session geqo_threshold = -1"), is(false, "geqo_threshold", "-1"));
    assert_eq!(set("set names 'utf8'"), is(false, "client_encoding", "utf8"));
    assert!(matches!(one("set x to default").statement, Statement::Set { value: SetValue::Default, .. }));
    assert!(matches!(one("show all").statement, Statement::Show(None)));
    assert!(matches!(one("show time zone").statement, Statement::Show(Some(name)) if name == "timezone"));
    assert!(matches!(one("reset all").statement, Statement::Reset(None)));
    assert!(matches!(one("discard temp").statement, Statement::Discard(Discard::Temporary)));
}

#[test]
fn prepared_statements_and_explanations() {
    let Statement::Prepare { name, types, body } = one("prepare p (int, numeric(5,2)) as select $1").statement else {
        panic!()
    };
    assert_eq!((name.as_str(), types.len(), &*body.text), ("p", 2, "select $1"));
    let Statement::Execute { arguments, .. } = one("execute p (1 + 1, 'x')").statement else { panic!() };
    assert_eq!(arguments.len(), 2);
    assert!(matches!(one("deallocate all").statement, Statement::Deallocate(None)));
    let text = "explain (analyze, costs off, format json) select 1";
    let Statement::Explain { how, body } = one(text).statement else { panic!() };
    assert_eq!(how, Explain { analyze: true, verbose: false, format: ExplainFormat::Json });
    assert_eq!(&*body.text, "select 1");
    for query in
        ["(select 1) union (select 2)", "((select 1))", "(values (1))", "(with a as (select 1) select * from a)"]
    {
        let Statement::Explain { how, body } = one(&format!("explain {query}")).statement else { panic!() };
        assert_eq!((how, &*body.text), (Explain::default(), query));
    }
    assert!(parse("explain (color) select 1").is_err());
    assert!(parse("explain (format html) select 1").is_err());
}

#[test]
fn what_sqlparser_does_not_know() {
    let parsed = one("select * from a as of system time '-10s' where x = 1");
    assert_eq!(parsed.as_of.unwrap().to_string(), "'-10s'");
    let Statement::Sql(statement) = parsed.statement else { panic!() };
    assert_eq!(statement.to_string(), "SELECT * FROM a WHERE x = 1");
    let parsed = one("insert into t (a) overriding system value values (1)");
    assert_eq!(parsed.overriding, Some(Overriding::System));
    assert!(parse("select * from t for no key update of t nowait").is_ok());
    assert!(parse("select * from t for key share").is_ok());
}

#[test]
fn copy_and_its_options() {
    let copy = |text: &str| match one(text).statement {
        Statement::Copy(copy) => *copy,
        other => panic!("{other:?}"),
    };
    let simple = copy("copy public.t (a, b) from stdin");
    assert!(simple.from && simple.options.format == Format::Text && simple.options.delimiter == b'\t');
    let csv = copy("copy t to stdout with (format csv, header, delimiter ';', null 'NULL', force_quote *)");
    assert!(
        !csv.from && csv.options.header == Header::Names && csv.options.delimiter == b';' && csv.options.null == "NULL"
    );
    assert!(matches!(copy("copy (select (1)) to stdout csv header").target, CopyTarget::Query(_)));
    assert_eq!(copy("copy t from stdin binary").options.format, Format::Binary);
    for text in ["copy t from '/etc/passwd'", "copy t from program 'rm'"] {
        assert_eq!(parse(text).unwrap_err().state(), SqlState::FEATURE_NOT_SUPPORTED, "{text}");
    }
    for text in ["copy t from stdin (delimiter 'ab')", "copy t from stdin (quote '''')", "copy (select 1 to stdout"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn databases_and_sequences() {
    let text = "create database d with (slots = 16, replication_factor = 3, basis = 'key')";
    let Statement::CreateDatabase { options, .. } = one(text).statement else { panic!() };
    assert_eq!(options.len(), 3);
    assert!(parse("create database d encoding 'UTF8' template template0 owner = me").is_ok());
    let text = "alter sequence if exists a.s restart with 5 increment -1 no maxvalue owned by t.c";
    let Statement::AlterSequence { change: AlterSequence::Options(options), .. } = one(text).statement else {
        panic!()
    };
    assert_eq!(options.len(), 4);
    assert!(matches!(one("comment on column a.b.c is null").statement, Statement::Comment { text: None, .. }));
    assert!(matches!(one("alter table t set schema x").statement, Statement::SetSchema { .. }));
    assert!(matches!(one("alter table t add column x int").statement, Statement::Sql(_)));
    assert!(matches!(one("create trigger x before insert on t").statement, Statement::Refused(_)));
}

#[test]
fn a_shape_is_the_statement_without_its_literals() {
    let found = shape("SELECT  a FROM \"T\" WHERE id=17 AND b = 'it''s' AND c<>3.5;").unwrap();
    assert_eq!(found.text(), "select a from \"T\" where id = $1 and b = $2 and c <> $3");
    let text = Literal::Text("it's".into());
    assert_eq!(found.literals, [Literal::Int4(17), text, Literal::Numeric("3.5")]);
    assert!(parse(found.text()).is_ok());
    assert_eq!(shape("select 3000000000").unwrap().literals, [Literal::Int8(3_000_000_000)]);
    let unlike = ["select 1; select 2", "select 1 -- x", "select E'a'", "select $$a$$", "select 'a", "select 1e5", "ä"];
    for text in unlike.into_iter().chain(["select $1", "select \"a\"\"b\"", "select 'a' 'b'"]) {
        assert_eq!(shape(text), None, "{text}");
    }
}

#[test]
fn statements_of_one_shape_differ_in_values_only() {
    let key = |text: &str| shape(text).unwrap().key().to_owned();
    assert_eq!(key("select a from t where b = 1"), key("SELECT a  FROM t WHERE b=77;"));
    assert_ne!(key("select 1"), key("select 'a'"));
    assert_ne!(key("select 1"), key("select 5000000000"));
    assert_ne!(key("select \"A\""), key("select a"));
    let many = format!("select {}", vec!["7"; 200].join(","));
    assert!(shape(&many).unwrap().text().ends_with("$199 , $200"));
    assert_eq!(shape(&format!("select {}", vec!["7"; 201].join(","))), None);
}

/// What a statement is for sqlparser.
fn spelled(text: &str) -> String {
    match one(text).statement {
        Statement::Sql(statement) => statement.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn clauses_are_spelled_in_sqlparsers_words() {
    let cases = [
        ("table t", "SELECT * FROM t"),
        ("create table u as table s.t", "CREATE TABLE u AS SELECT * FROM s.t"),
        ("create table u as select 1 as table from t", "CREATE TABLE u AS SELECT 1 AS table FROM t"),
        ("select 1 as table from t", "SELECT 1 AS table FROM t"),
        (
            "select 1 from a, b for update of a, \"B\" skip locked limit 3",
            "SELECT 1 FROM a, b LIMIT 3 FOR UPDATE OF a SKIP LOCKED FOR UPDATE OF \"B\" SKIP LOCKED",
        ),
        ("select * from t for no key update of t nowait", "SELECT * FROM t FOR UPDATE OF t NOWAIT"),
        ("select a, ((select 1) union (select b)) from t", "SELECT a, (SELECT 1 UNION (SELECT b)) FROM t"),
        ("select ((select 1)), ((select 2) + 1)", "SELECT ((SELECT 1)), ((SELECT 2) + 1)"),
        ("create index i on t (a) tablespace pg_default", "CREATE INDEX i ON t(a)"),
        ("create unlogged table if not exists t (a int)", "CREATE TABLE IF NOT EXISTS t (a INT)"),
        (
            "alter table t alter a type varchar(3) collate pg_catalog.\"C\" using a || 'x', alter b type text",
            "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(3) USING a || 'x', ALTER COLUMN b TYPE TEXT",
        ),
    ];
    for (text, words) in cases {
        assert_eq!(spelled(text), words, "{text}");
    }
    let assigned = [
        ("update t set a[1] = 2", "UPDATE t SET a = \"assigned element\"(t.a, 2, 1)"),
        (
            "update s.t as x set b = 1, a[i + 1] = array[1, 2][1], a['k']['l'] = x.b is distinct from 7 from u where a[1] = 1",
            "UPDATE s.t AS x SET b = 1, a = \"assigned element\"(\"assigned element\"(x.a, ARRAY[1, 2][1], i + 1), \
             x.b IS DISTINCT FROM 7, 'k', 'l') FROM u WHERE a[1] = 1",
        ),
        (
            "insert into s.t values (1) on conflict (id) do update set a[1] = 2 where t.id = 1 returning a[1]",
            "INSERT INTO s.t VALUES (1) ON CONFLICT(id) DO UPDATE SET a = \"assigned element\"(t.a, 2, 1) WHERE t.id = 1 \
             RETURNING a[1]",
        ),
        (
            "with set as (select 1 as set) select set, a[1] = 2 from set, t",
            "WITH set AS (SELECT 1 AS set) SELECT set, a[1] = 2 FROM set, t",
        ),
    ];
    for (text, words) in assigned {
        assert_eq!(spelled(text), words, "{text}");
    }
    // Their first operands have clauses of their own.
    for text in
        ["select ((select 1 limit 1) union (select 2))", "select ((select 1 union select 2) intersect (select 3))"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
    let refused = [
        ("alter table t alter a type text collate \"de-x-icu\"", "the collation \"de-x-icu\" is not supported", 41),
        ("create table t (a int) tablespace fast", "tablespace \"fast\" does not exist", 35),
    ];
    for (text, message, position) in refused {
        assert_eq!(error(text), (message.to_owned(), Some(position)), "{text}");
    }
}

/// What sqlparser does not know is spelled for it while a statement is passed over once: else this would take minutes.
#[test]
fn long_statements_are_spelled_as_short_ones_are() {
    let many = 25_000;
    let nested = format!("select a from t group by {}a{}", "grouping sets (".repeat(many), ")".repeat(many));
    assert_eq!(spelled(&nested), "SELECT a FROM t GROUP BY GROUPING SETS ((a))");
    let row = format!("select a from t group by grouping sets (b{})", ", grouping sets (a)".repeat(many));
    assert_eq!(spelled(&row).matches("SETS").count(), 1);
    let nulls = format!("create table t (a int{})", " unique nulls distinct".repeat(many));
    assert_eq!(spelled(&nulls).matches("UNIQUE").count(), many);
    let windows = format!("select 1{}", ", sum(a) over (rows current row exclude ties)".repeat(many));
    assert_eq!(spelled(&windows).matches("PARTITION BY").count(), many);
    let keys = format!("create table t (a int{})", ", b int references p on delete set null (b)".repeat(many));
    assert_eq!(spelled(&keys).matches("SET NULL").count(), many);
    let counts = format!("select 1{}", ", (select 1 fetch first (1) rows only)".repeat(many));
    assert_eq!(spelled(&counts).matches("LIMIT").count(), many);
    let actions = format!("alter table t drop column a{}", ", alter b set generated always".repeat(many));
    assert_eq!(spelled(&actions).matches("VALIDATE").count(), many);
    let other = "select (select 1 from t group by grouping sets (a, b)) from t group by grouping sets (a, (b))";
    assert_eq!(spelled(other).matches("SETS").count(), 2);
}
