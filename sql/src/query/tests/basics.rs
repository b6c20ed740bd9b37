//! What each clause does.

use super::world::World;

fn world() -> World {
    let mut world = World::new(
        "CREATE TABLE emp (id int PRIMARY KEY, name text NOT NULL, dept int, salary numeric(10,2), hired date);
         CREATE TABLE dept (id int PRIMARY KEY, name varchar(20) NOT NULL, boss int);
         CREATE INDEX emp_dept ON emp (dept);
         CREATE VIEW rich AS SELECT id, name, salary * 2 AS twice FROM emp WHERE salary > 100;",
    );
    world.copy(
        "emp",
        "1|ann|10|100.00|2020-01-01
         2|bob|10|200.00|2021-05-05
         3|cid|20|300.00|2019-12-31
         4|dan|\\N|50.50|2022-02-02
         5|eve|20|\\N|2020-06-15",
    );
    world.copy(
        "dept",
        "10|sales|1
         20|tech|3
         30|empty|\\N",
    );
    world
}

/// Rows as one line of text each.
fn rows(sql: &str) -> Vec<String> {
    let result = world().query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    result.1.into_iter().map(|row| row.join("|")).collect()
}

fn error(sql: &str) -> String {
    let error = world().query(sql).expect_err(sql);
    format!("{} {error}", error.state())
}

fn check(cases: &[(&str, &[&str])]) {
    let world = world();
    let mut wrong = Vec::new();
    for (sql, wanted) in cases {
        match world.query(sql) {
            Ok((_, rows)) => {
                let rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
                if rows != *wanted {
                    wrong.push(format!("{sql}\n  got    {rows:?}\n  wanted {wanted:?}"));
                }
            }
            Err(error) => wrong.push(format!("{sql}\n  {error:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn selections() {
    check(&[
        ("SELECT 1", &["1"]),
        ("SELECT 1 AS a, 'x' AS b, NULL", &["1|x|NULL"]),
        ("SELECT id, name FROM emp WHERE id = 2", &["2|bob"]),
        ("SELECT e.name FROM emp e WHERE e.salary > 100 ORDER BY 1", &["bob", "cid"]),
        ("SELECT name FROM emp WHERE salary BETWEEN 50 AND 100.0 ORDER BY id DESC", &["dan", "ann"]),
        ("SELECT id FROM emp WHERE id IN (1, 3, 9) ORDER BY id", &["1", "3"]),
        ("SELECT id FROM emp WHERE name LIKE '%a%' ORDER BY id", &["1", "4"]),
        ("SELECT id + 1, salary * 2 FROM emp ORDER BY id LIMIT 2", &["2|200.00", "3|400.00"]),
        ("SELECT * FROM dept ORDER BY id OFFSET 1", &["20|tech|3", "30|empty|NULL"]),
        ("SELECT name FROM emp ORDER BY salary DESC NULLS LAST, name", &["cid", "bob", "ann", "dan", "eve"]),
        ("SELECT name FROM emp ORDER BY salary DESC", &["eve", "cid", "bob", "ann", "dan"]),
        ("SELECT DISTINCT dept FROM emp ORDER BY dept", &["10", "20", "NULL"]),
        ("SELECT DISTINCT ON (dept) dept, name FROM emp ORDER BY dept, name DESC", &["10|bob", "20|eve", "NULL|dan"]),
        // Numbers have no ranges that the engine knows.
        (
            "SELECT DISTINCT ON (salary) salary, name FROM emp WHERE salary > 60 ORDER BY salary",
            &["100.00|ann", "200.00|bob", "300.00|cid"],
        ),
        (
            "SELECT id, (SELECT name FROM emp WHERE dept = dept.id ORDER BY salary LIMIT 1) FROM dept ORDER BY id",
            &["10|ann", "20|cid", "30|NULL"],
        ),
        ("SELECT name, twice FROM rich ORDER BY id", &["bob|400.00", "cid|600.00"]),
        ("VALUES (1, 'a'), (2, NULL), (3, 'c')", &["1|a", "2|NULL", "3|c"]),
        ("SELECT x * 2 FROM (VALUES (1), (2.5)) AS v(x)", &["2", "5.0"]),
        ("SELECT count(*) FROM emp", &["5"]),
        ("SELECT hired + 1 FROM emp WHERE id = 1", &["2020-01-02"]),
    ]);
}

#[test]
fn joins() {
    check(&[
        (
            "SELECT e.name, d.name FROM emp e JOIN dept d ON e.dept = d.id ORDER BY e.id",
            &["ann|sales", "bob|sales", "cid|tech", "eve|tech"],
        ),
        (
            "SELECT e.name, d.name FROM emp e LEFT JOIN dept d ON e.dept = d.id AND d.id = 10 ORDER BY e.id",
            &["ann|sales", "bob|sales", "cid|NULL", "dan|NULL", "eve|NULL"],
        ),
        ("SELECT d.name FROM emp e RIGHT JOIN dept d ON e.dept = d.id WHERE e.id IS NULL", &["empty"]),
        (
            "SELECT e.id, d.id FROM emp e FULL JOIN dept d ON e.dept = d.id WHERE e.id IS NULL OR d.id IS NULL ORDER BY 1",
            &["4|NULL", "NULL|30"],
        ),
        ("SELECT count(*) FROM emp, dept", &["15"]),
        ("SELECT id, a, b FROM (VALUES (1, 'x')) l(id, a) JOIN (VALUES (1, 'y')) r(id, b) USING (id)", &["1|x|y"]),
        (
            "SELECT * FROM (VALUES (1, 'x')) l(id, a) NATURAL FULL JOIN (VALUES (2, 'y')) r(id, b) ORDER BY 1",
            &["1|x|NULL", "2|NULL|y"],
        ),
        ("SELECT a.id, b.id FROM emp a JOIN emp b ON a.dept = b.dept AND a.id < b.id ORDER BY 1", &["1|2", "3|5"]),
        (
            "SELECT d.id, s.n FROM dept d, LATERAL (SELECT count(*) AS n FROM emp e WHERE e.dept = d.id) s ORDER BY 1",
            &["10|2", "20|2", "30|0"],
        ),
        (
            "SELECT d.id, t.name FROM dept d LEFT JOIN LATERAL (SELECT name FROM emp e WHERE e.dept = d.id ORDER BY id DESC LIMIT 1) t ON true ORDER BY 1",
            &["10|bob", "20|eve", "30|NULL"],
        ),
    ]);
}

#[test]
fn aggregates() {
    check(&[
        (
            "SELECT dept, count(*), sum(salary), avg(salary) FROM emp GROUP BY dept ORDER BY dept",
            &[
                "10|2|300.00|150.0000000000000000",
                "20|2|300.00|300.0000000000000000",
                "NULL|1|50.50|50.5000000000000000",
            ],
        ),
        ("SELECT sum(id), avg(id), min(name), max(hired) FROM emp", &["15|3.0000000000000000|ann|2022-02-02"]),
        ("SELECT count(dept), count(DISTINCT dept), sum(DISTINCT dept) FROM emp", &["4|2|30"]),
        ("SELECT dept FROM emp GROUP BY dept HAVING count(*) > 1 ORDER BY 1", &["10", "20"]),
        ("SELECT count(*) FILTER (WHERE salary > 100), sum(salary) FILTER (WHERE false) FROM emp", &["2|NULL"]),
        (
            "SELECT string_agg(name, ',' ORDER BY id DESC), array_agg(id ORDER BY id) FROM emp WHERE dept = 10",
            &["bob,ann|{1,2}"],
        ),
        ("SELECT max(salary), min(salary) FROM emp", &["300.00|50.50"]),
        ("SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) v(x)", &["9223372036854775808"]),
        ("SELECT x, count(*) FROM (VALUES (1.0), (1.00), (2)) v(x) GROUP BY x ORDER BY x", &["1.0|2", "2|1"]),
        (
            "SELECT dept, count(*) FROM emp GROUP BY ROLLUP (dept) ORDER BY dept, 2",
            &["10|2", "20|2", "NULL|1", "NULL|5"],
        ),
        (
            "SELECT dept, name, grouping(dept, name), count(*) FROM emp WHERE dept = 10 GROUP BY GROUPING SETS ((dept), (name), ()) ORDER BY 3, 2",
            &["10|NULL|1|2", "NULL|ann|2|1", "NULL|bob|2|1", "NULL|NULL|3|2"],
        ),
        (
            "SELECT d.id, d.name, count(e.id) FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.id ORDER BY 1",
            &["10|sales|2", "20|tech|2", "30|empty|0"],
        ),
        ("SELECT bool_and(salary > 10), bool_or(salary > 250) FROM emp", &["t|t"]),
        (
            "SELECT stddev(x), variance(x), var_pop(x) FROM (VALUES (1), (2), (3), (4)) v(x)",
            &["1.2909944487358056|1.6666666666666667|1.2500000000000000"],
        ),
        ("SELECT salary > 100, count(*) FROM emp GROUP BY 1 ORDER BY 1", &["f|2", "t|2", "NULL|1"]),
        ("SELECT sum(count(*)) OVER () FROM emp GROUP BY dept LIMIT 1", &["5"]),
        ("SELECT count(*) FROM emp WHERE false", &["0"]),
        (
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id), mode() WITHIN GROUP (ORDER BY dept) FROM emp",
            &["3|10"],
        ),
    ]);
    assert!(
        error("SELECT name, count(*) FROM emp").starts_with("42803"),
        "{}",
        error("SELECT name, count(*) FROM emp")
    );
    assert!(error("SELECT count(*) FROM emp WHERE count(*) > 1").starts_with("42803"));
    assert!(error("SELECT nosuch(id) FROM emp").starts_with("42883"));
}

#[test]
fn subqueries() {
    check(&[
        ("SELECT (SELECT max(id) FROM emp)", &["5"]),
        ("SELECT name FROM emp WHERE salary = (SELECT max(salary) FROM emp)", &["cid"]),
        (
            "SELECT name, (SELECT d.name FROM dept d WHERE d.id = e.dept) FROM emp e ORDER BY e.id",
            &["ann|sales", "bob|sales", "cid|tech", "dan|NULL", "eve|tech"],
        ),
        (
            "SELECT d.name, (SELECT count(*) FROM emp e WHERE e.dept = d.id) FROM dept d ORDER BY d.id",
            &["sales|2", "tech|2", "empty|0"],
        ),
        (
            "SELECT d.name, (SELECT count(*) + d.id FROM emp e WHERE e.dept = d.id) FROM dept d ORDER BY d.id",
            &["sales|12", "tech|22", "empty|30"],
        ),
        (
            "SELECT name FROM dept d WHERE EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id AND e.salary > 250)",
            &["tech"],
        ),
        ("SELECT name FROM dept d WHERE NOT EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id)", &["empty"]),
        ("SELECT name FROM emp WHERE dept IN (SELECT id FROM dept WHERE name = 'tech') ORDER BY 1", &["cid", "eve"]),
        ("SELECT name FROM dept WHERE id NOT IN (SELECT dept FROM emp)", &[]),
        ("SELECT name FROM dept WHERE id NOT IN (SELECT dept FROM emp WHERE dept IS NOT NULL)", &["empty"]),
        ("SELECT id IN (SELECT dept FROM emp) FROM dept ORDER BY id", &["t", "t", "NULL"]),
        ("SELECT id NOT IN (SELECT id FROM emp WHERE false) FROM dept ORDER BY id", &["t", "t", "t"]),
        ("SELECT name FROM emp e WHERE salary >= ALL (SELECT salary FROM emp WHERE salary IS NOT NULL)", &["cid"]),
        ("SELECT name FROM emp WHERE id < ANY (SELECT id FROM emp WHERE name = 'cid') ORDER BY 1", &["ann", "bob"]),
        ("SELECT ARRAY(SELECT name FROM emp WHERE dept = 10 ORDER BY id DESC)", &["{bob,ann}"]),
        (
            "SELECT d.id, ARRAY(SELECT e.id FROM emp e WHERE e.dept = d.id ORDER BY 1) FROM dept d ORDER BY 1",
            &["10|{1,2}", "20|{3,5}", "30|{}"],
        ),
        ("SELECT e.name FROM emp e WHERE e.salary > (SELECT avg(x.salary) FROM emp x WHERE x.dept = e.dept)", &["bob"]),
        (
            "SELECT e.name FROM emp e WHERE e.id = (SELECT min(x.id) FROM emp x WHERE x.id > e.id - 1 AND x.dept = e.dept) ORDER BY 1",
            &["ann", "bob", "cid", "eve"],
        ),
        ("SELECT (SELECT 1 WHERE false), EXISTS (SELECT 1 WHERE false)", &["NULL|f"]),
        (
            "SELECT name FROM dept d WHERE 2 = (SELECT count(*) FROM emp e WHERE e.dept = d.id) ORDER BY 1",
            &["sales", "tech"],
        ),
        (
            "SELECT d.id FROM dept d WHERE EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id AND EXISTS (SELECT 1 FROM emp x WHERE x.dept = d.id AND x.id > e.id)) ORDER BY 1",
            &["10", "20"],
        ),
        ("SELECT name FROM emp WHERE (dept, id) IN (SELECT id, boss FROM dept) ORDER BY 1", &["ann", "cid"]),
        (
            "SELECT d.id, (SELECT e.name FROM emp e WHERE e.dept = d.id ORDER BY e.id DESC LIMIT 1) FROM dept d ORDER BY 1",
            &["10|bob", "20|eve", "30|NULL"],
        ),
        (
            "SELECT d.id, (SELECT max(u.x) FROM (SELECT e.id AS x FROM emp e WHERE e.dept = d.id UNION ALL SELECT d.boss) u) FROM dept d ORDER BY 1",
            &["10|2", "20|5", "30|NULL"],
        ),
    ]);
    assert!(error("SELECT (SELECT id FROM emp)").starts_with("21000"), "{}", error("SELECT (SELECT id FROM emp)"));
    assert!(error("SELECT (SELECT e.id FROM emp e WHERE e.dept = d.id) FROM dept d").starts_with("21000"));
    assert!(error("SELECT 1 WHERE 1 IN (SELECT 1, 2)").starts_with("42601"));
}

#[test]
fn sets_and_tables_by_name() {
    check(&[
        ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1", &["1", "2"]),
        ("SELECT 1 UNION SELECT NULL ORDER BY 1", &["1", "NULL"]),
        ("SELECT 1.0 UNION SELECT 1.00", &["1.0"]),
        ("SELECT dept FROM emp INTERSECT SELECT id FROM dept ORDER BY 1", &["10", "20"]),
        ("SELECT id FROM dept EXCEPT SELECT dept FROM emp", &["30"]),
        ("SELECT dept FROM emp EXCEPT ALL SELECT id FROM dept ORDER BY 1", &["10", "20", "NULL"]),
        ("(VALUES (1), (1), (2)) INTERSECT ALL (VALUES (1), (1), (1))", &["1", "1"]),
        ("SELECT 'a' UNION ALL SELECT 1::text ORDER BY 1", &["1", "a"]),
        (
            "WITH x AS (SELECT dept, count(*) AS n FROM emp GROUP BY dept) SELECT a.dept FROM x a JOIN x b ON a.n = b.n AND a.dept < b.dept",
            &["10"],
        ),
        ("WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t", &["15"]),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT (n * 2) % 7 FROM t) SELECT n FROM t ORDER BY n",
            &["1", "2", "4"],
        ),
        (
            "WITH RECURSIVE r AS (SELECT id, name, 0 AS depth FROM emp WHERE id = 1 UNION ALL SELECT e.id, e.name, depth + 1 FROM r JOIN emp e ON e.id = r.id + 1) SELECT * FROM r ORDER BY id",
            &["1|ann|0", "2|bob|1", "3|cid|2", "4|dan|3", "5|eve|4"],
        ),
        ("SELECT * FROM generate_series(1, 3)", &["1", "2", "3"]),
        (
            "SELECT g, d.id FROM dept d, generate_series(1, d.id / 10) g WHERE d.id < 30 ORDER BY 2, 1",
            &["1|10", "1|20", "2|20"],
        ),
        ("SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(x, n)", &["a|1", "b|2"]),
        ("SELECT id, unnest(ARRAY[id, id * 10]) FROM emp WHERE id < 3 ORDER BY 1, 2", &["1|1", "1|10", "2|2", "2|20"]),
        ("SELECT generate_series(1, 2), 'x'", &["1|x", "2|x"]),
        (
            "SELECT * FROM generate_series(timestamp '2024-01-31', timestamp '2024-03-31', interval '1 month')",
            &["2024-01-31 00:00:00", "2024-02-29 00:00:00", "2024-03-29 00:00:00"],
        ),
    ]);
    assert!(error("SELECT 1 UNION SELECT 1, 2").starts_with("42601"));
    assert!(error("SELECT * FROM nosuch").starts_with("42P01"));
    assert!(error("SELECT nosuch FROM emp").starts_with("42703"));
    assert!(error("SELECT e.nosuch FROM emp e").starts_with("42703"));
    assert!(error("SELECT id FROM emp, dept").starts_with("42702"));
    assert!(error("SELECT 1 FROM emp, emp").starts_with("42712"));
}

#[test]
fn windows() {
    check(&[
        (
            "SELECT name, row_number() OVER (ORDER BY salary) FROM emp ORDER BY 2",
            &["dan|1", "ann|2", "bob|3", "cid|4", "eve|5"],
        ),
        (
            "SELECT name, rank() OVER (PARTITION BY dept ORDER BY id DESC) FROM emp ORDER BY dept, id",
            &["ann|2", "bob|1", "cid|2", "eve|1", "dan|1"],
        ),
        ("SELECT id, sum(id) OVER (ORDER BY id) FROM emp ORDER BY id", &["1|1", "2|3", "3|6", "4|10", "5|15"]),
        (
            "SELECT id, sum(salary) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM emp ORDER BY id",
            &["1|100.00", "2|300.00", "3|500.00", "4|350.50", "5|50.50"],
        ),
        (
            "SELECT id, lag(name, 1, 'none') OVER (ORDER BY id), lead(id) OVER w FROM emp WINDOW w AS (ORDER BY id) ORDER BY id LIMIT 2",
            &["1|none|2", "2|ann|3"],
        ),
        (
            "SELECT id, first_value(name) OVER w, last_value(name) OVER w, ntile(2) OVER w FROM emp WINDOW w AS (ORDER BY id) ORDER BY id",
            &["1|ann|ann|1", "2|ann|bob|1", "3|ann|cid|1", "4|ann|dan|2", "5|ann|eve|2"],
        ),
        (
            "SELECT id, max(salary) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM emp ORDER BY id",
            &["1|300.00", "2|300.00", "3|50.50", "4|NULL", "5|NULL"],
        ),
        (
            "SELECT dept, sum(sum(id)) OVER (ORDER BY dept) FROM emp GROUP BY dept ORDER BY dept",
            &["10|3", "20|11", "NULL|15"],
        ),
    ]);
    assert!(error("SELECT 1 FROM emp WHERE rank() OVER (ORDER BY id) = 1").starts_with("42P20"));
}

#[test]
fn names_of_columns() {
    let names = |sql: &str| world().query(sql).unwrap().0.join(",");
    assert_eq!(
        names("SELECT id, count(*), 1, id::text, 1::int8, CASE WHEN true THEN 1 END, upper('x') FROM emp GROUP BY id"),
        "id,count,?column?,id,int8,case,upper"
    );
    assert_eq!(
        names("SELECT (SELECT max(id) FROM emp), EXISTS (SELECT 1), ARRAY[1], date '2020-01-01', 1 + 1"),
        "max,exists,array,date,?column?"
    );
    assert_eq!(
        names(
            "SELECT '1'::int2::int8, '{}'::int[], 'a'::text::\"char\", substr(name, 1), substring(name, 1), true, length(name)::int8 FROM emp"
        ),
        "int8,int4,char,substr,substring,?column?,length"
    );
    assert_eq!(
        names("SELECT (SELECT 1)::int4, (SELECT 1 AS k)::text, (SELECT 1 UNION SELECT 1)"),
        "?column?,k,?column?"
    );
    assert_eq!(names("SELECT * FROM emp e JOIN dept d ON true"), "id,name,dept,salary,hired,id,name,boss");
}

#[test]
fn errors_come_out() {
    assert!(error("SELECT sum(x) FROM (SELECT id * 2000000000 AS x FROM emp) s").starts_with("22003"));
    assert!(error("SELECT 1 / (id - 1) FROM emp").starts_with("22012"));
    assert_eq!(rows("SELECT CASE WHEN id = 1 THEN 0 ELSE 1 / (id - 1) END FROM emp ORDER BY id LIMIT 2"), ["0", "1"]);
}

/// So many conditions or values that differ in a number.
fn many(part: &str, between: &str) -> String {
    (0..24).map(|number| part.replace('#', &number.to_string())).collect::<Vec<_>>().join(between)
}

/// Each is computed over what its query was before the others were joined to it, not over a copy of all of that.
#[test]
fn many_subqueries_that_refer_to_the_query_around_make_a_plan_that_grows_with_their_number() {
    let cheaper = "(SELECT name FROM emp e WHERE e.salary + # < emp.salary ORDER BY e.salary DESC LIMIT 1)";
    let values = format!("SELECT id, {} FROM emp ORDER BY id", many(cheaper, " || "));
    let exists = many("EXISTS (SELECT 1 FROM emp e WHERE e.salary + # < emp.salary)", " AND ");
    let conditions = format!("SELECT id FROM emp WHERE {exists} ORDER BY id");
    let bare = many("EXISTS (SELECT 1 WHERE emp.id < # + 4)", " AND ");
    let bare = format!("SELECT id FROM emp WHERE {bare} ORDER BY id");
    let all = |name: &str| name.repeat(24);
    let named = [format!("1|{}", all("dan")), format!("2|{}", all("ann")), format!("3|{}", all("bob"))];
    assert_eq!(rows(&values)[..3], named);
    assert_eq!(rows(&values)[3..], ["4|NULL", "5|NULL"]);
    assert_eq!(rows(&conditions), ["1", "2", "3"]);
    assert_eq!(rows(&bare), ["1", "2", "3"]);
    for sql in [values, conditions, bare] {
        let plan = world().explain(&sql, false).unwrap();
        assert!(plan.lines().count() < 1000, "{} lines: {sql}", plan.lines().count());
    }
    let grouped = many("EXISTS (SELECT 1 WHERE emp.dept < #)", " AND ");
    let told = error(&format!("SELECT dept FROM emp GROUP BY dept HAVING {grouped}"));
    assert_eq!(told, "54001 the query has too many subqueries that refer to the query around");
}
