//! Random queries over tables.

use annulus_base::rng::Rng;

use super::expressions::Sight;
use super::generator::Statement;
use super::schema::{Table, Type};

/// How far expressions nest.
const DEPTH: u32 = 3;

fn table<'a>(tables: &'a [Table], rng: &mut Rng) -> &'a Table {
    rng.pick(tables).expect("there are tables")
}

/// A query; whether its rows come in one order only is told by the statement.
pub fn query(tables: &[Table], rng: &mut Rng) -> Statement {
    let sql = match rng.below(14) {
        0..=2 => simple(tables, rng),
        3 | 4 => joined(tables, rng),
        5 | 6 => grouped(tables, rng),
        7 => combined(tables, rng),
        8 => windowed(tables, rng),
        9 => framed(tables, rng),
        10 => nested_joins(tables, rng),
        11 => all_grouped(tables, rng),
        12 => defined(tables, rng),
        _ => nested(tables, rng),
    };
    if rng.one_in(2) {
        return Statement::query(sql, false);
    }
    // By all columns, so that any two orders are the same.
    let columns = sql.matches(" AS x").count();
    let order: Vec<String> = (1..=columns)
        .map(|place| {
            let direction = rng.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]).expect("some");
            format!("{place}{direction}")
        })
        .collect();
    let limit = if rng.one_in(2) { format!(" LIMIT {}", rng.below(12)) } else { String::new() };
    let offset = if rng.one_in(4) { format!(" OFFSET {}", rng.below(5)) } else { String::new() };
    Statement::query(format!("SELECT * FROM ({sql}) AS q ORDER BY {}{limit}{offset}", order.join(", ")), true)
}

/// Between one and three expressions, named `x1`, `x2` ...; a name is written as ` AS x` nowhere else.
fn outputs(sight: &Sight, types: &[Type], rng: &mut Rng) -> String {
    let one = |(place, ty): (usize, &Type)| format!("{} AS x{}", sight.expression(*ty, DEPTH, rng), place + 1);
    types.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn types(rng: &mut Rng) -> Vec<Type> {
    (0..rng.between(1, 4)).map(|_| *rng.pick(&Type::ALL).expect("some")).collect()
}

fn filter(sight: &Sight, rng: &mut Rng) -> String {
    if rng.one_in(4) { String::new() } else { format!(" WHERE {}", sight.condition(DEPTH, rng)) }
}

fn simple(tables: &[Table], rng: &mut Rng) -> String {
    let table = table(tables, rng);
    let sight = Sight::of(table, "a");
    let distinct = if rng.one_in(4) { "DISTINCT " } else { "" };
    let (types, by_key) = (types(rng), rng.one_in(3));
    let outputs = outputs(&sight, &types, rng);
    let filter = if by_key { format!(" WHERE a.id = {}", rng.below(30)) } else { filter(&sight, rng) };
    format!("SELECT {distinct}{outputs} FROM {} a{filter}", table.name)
}

fn joined(tables: &[Table], rng: &mut Rng) -> String {
    let (one, other) = (table(tables, rng), table(tables, rng));
    let sight = Sight::of(one, "a").and(Sight::of(other, "b"));
    let kind = *rng.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]).expect("some");
    let on = Sight::of(other, "b");
    let on = on.columns.iter().filter(|(_, ty)| *ty == Type::Int).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let key = rng.pick(&on).expect("there is a key").clone();
    let more = match (kind, rng.below(3)) {
        ("JOIN", 0) => format!(" AND {}", sight.condition(1, rng)),
        (_, 1) => format!(" AND {}", about_one_side(one, other, rng)),
        _ => String::new(),
    };
    let outputs = outputs(&sight, &types(rng), rng);
    format!("SELECT {outputs} FROM {} a {kind} {} b ON a.id = {key}{more}{}", one.name, other.name, filter(&sight, rng))
}

/// A condition with a subquery that refers to one of two tables that are joined.
fn about_one_side(one: &Table, other: &Table, rng: &mut Rng) -> String {
    let (side, table) = if rng.one_in(2) { ("a", one) } else { ("b", other) };
    let inner = Sight::of(table, "c").condition(1, rng);
    let from = format!("FROM {} c WHERE c.id", table.name);
    match rng.below(4) {
        0 => format!("EXISTS (SELECT 1 {from} < {side}.id AND {inner})"),
        1 => format!("{side}.id NOT IN (SELECT c.id {from} > 5 AND {inner})"),
        2 => format!("{side}.id >= (SELECT count(*) {from} <> {side}.id)"),
        _ => format!(
            "({side}.id = ANY (VALUES (1), (2), (3), (5), (8)) OR NOT EXISTS (SELECT 1 {from} = {side}.id + 1))"
        ),
    }
}

/// Joins without parentheses, of which the conditions come later.
fn nested_joins(tables: &[Table], rng: &mut Rng) -> String {
    let (a, b, c) = (table(tables, rng), table(tables, rng), table(tables, rng));
    let sight = Sight::of(a, "a").and(Sight::of(b, "b")).and(Sight::of(c, "c"));
    let mut kind = || *rng.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]).expect("some");
    let (outer, inner) = (kind(), kind());
    let outputs = outputs(&sight, &types(rng), rng);
    let (one, two) = (rng.pick(&["b", "c"]).expect("some"), rng.below(3));
    format!(
        "SELECT {outputs} FROM {} a {outer} {} b {inner} {} c ON c.id = b.id + {two} ON a.id = {one}.id{}",
        a.name,
        b.name,
        c.name,
        filter(&sight, rng)
    )
}

/// All columns of a subquery, grouped by.
fn all_grouped(tables: &[Table], rng: &mut Rng) -> String {
    let table = table(tables, rng);
    let sight = Sight::of(table, "a");
    let columns: Vec<String> =
        (0..rng.between(1, 4)).map(|_| rng.pick(&sight.columns).expect("some").0.clone()).collect();
    let given: Vec<String> =
        columns.iter().enumerate().map(|(place, name)| format!("{name} AS x{}", place + 1)).collect();
    let by = |place: usize, rng: &mut Rng| if rng.one_in(2) { format!("x{place}") } else { place.to_string() };
    let by: Vec<String> = (1..=columns.len()).map(|place| by(place, rng)).collect();
    let distinct = if rng.one_in(3) { "DISTINCT " } else { "" };
    let having = if rng.one_in(3) { " HAVING count(*) > 1" } else { "" };
    let inner = format!("SELECT {distinct}{} FROM {} a{}", given.join(", "), table.name, filter(&sight, rng));
    format!("SELECT * FROM ({inner}) s GROUP BY {}{having}", by.join(", "))
}

/// Common table expressions that are used twice, or within a subquery.
fn defined(tables: &[Table], rng: &mut Rng) -> String {
    let (one, other) = (table(tables, rng), table(tables, rng));
    let condition = Sight::of(other, "b").condition(1, rng);
    let (a, b) = (&one.name, &other.name);
    let kept = rng.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]).expect("some");
    match rng.below(4) {
        0 => format!(
            "WITH w AS {kept}(SELECT b.id, random() r FROM {b} b WHERE {condition}) \
            SELECT v.id AS x1, count(*) AS x2 FROM w v JOIN w USING (id, r) GROUP BY v.id"
        ),
        1 => format!(
            "SELECT a.id AS x1, (WITH w AS {kept}(SELECT b.id FROM {b} b WHERE b.id < a.id AND {condition}) \
            SELECT count(*) + (SELECT count(*) FROM w WHERE w.id > 3) FROM w) AS x2 FROM {a} a"
        ),
        2 => format!(
            "SELECT a.id AS x1 FROM {a} a WHERE EXISTS (WITH w AS {kept}(SELECT b.id FROM {b} b WHERE {condition}), \
            v AS (SELECT * FROM w WHERE w.id = a.id) SELECT 1 FROM v, w)"
        ),
        _ => format!(
            "WITH w AS {kept}(SELECT b.id, {condition} AS c FROM {b} b) SELECT a.id AS x1, \
            (SELECT bool_and(c) FROM w WHERE w.id <= a.id) AS x2, v.c AS x3 FROM {a} a LEFT JOIN w v ON v.id = a.id"
        ),
    }
}

/// Windows with frames.
fn framed(tables: &[Table], rng: &mut Rng) -> String {
    let table = table(tables, rng);
    let sight = Sight::of(table, "a");
    let partition = match rng.one_in(2) {
        true => format!("PARTITION BY {} ", rng.pick(&sight.columns).expect("some").0),
        false => String::new(),
    };
    let units = *rng.pick(&["ROWS", "GROUPS", "RANGE"]).expect("some");
    let (start, end) = match rng.below(6) {
        0 => ("UNBOUNDED PRECEDING".to_owned(), format!("{} PRECEDING", rng.below(3))),
        1 => (format!("{} PRECEDING", rng.between(1, 4)), "1 PRECEDING".to_owned()),
        2 => (format!("{} PRECEDING", rng.below(3)), format!("{} FOLLOWING", rng.below(3))),
        3 => ("CURRENT ROW".to_owned(), format!("{} FOLLOWING", rng.below(4))),
        4 => ("1 FOLLOWING".to_owned(), format!("{} FOLLOWING", rng.between(1, 4))),
        _ => (format!("{} FOLLOWING", rng.below(3)), "UNBOUNDED FOLLOWING".to_owned()),
    };
    let function = match rng.below(8) {
        0 => format!("sum({})", sight.expression(Type::Numeric, 1, rng)),
        1 => format!("avg({})", sight.expression(Type::Numeric, 1, rng)),
        2 => format!("sum({})", sight.expression(Type::Int, 1, rng)),
        3 => format!("{}({})", rng.pick(&["bool_and", "bool_or"]).expect("some"), sight.condition(1, rng)),
        4 => format!("{}({})", rng.pick(&["min", "max"]).expect("some"), sight.expression(Type::Numeric, 1, rng)),
        5 => format!("count({})", sight.expression(Type::Text, 1, rng)),
        6 => format!("string_agg({}, ',')", sight.expression(Type::Text, 1, rng)),
        _ => format!("nth_value(({})::text, 2)", sight.expression(Type::Text, 1, rng)),
    };
    let order = if rng.one_in(2) { " DESC" } else { "" };
    format!(
        "SELECT a.id AS x1, {function} OVER ({partition}ORDER BY a.id{order} {units} BETWEEN {start} AND {end}) AS x2 \
        FROM {} a{}",
        table.name,
        filter(&sight, rng)
    )
}

fn aggregate(sight: &Sight, rng: &mut Rng) -> String {
    match rng.below(9) {
        0 => "count(*)".to_owned(),
        1 => format!("count({})", sight.expression(Type::Text, 1, rng)),
        2 => format!("sum({})", sight.expression(Type::Int, 1, rng)),
        3 => format!("sum({})", sight.expression(Type::Numeric, 1, rng)),
        4 => format!("avg({})", sight.expression(Type::Int, 1, rng)),
        5 => {
            let ty = *rng.pick(&[Type::Int, Type::Text, Type::Numeric, Type::Date, Type::Timestamp]).expect("some");
            format!("{}({})", rng.pick(&["min", "max"]).expect("some"), sight.expression(ty, 1, rng))
        }
        6 => format!("{}({})", rng.pick(&["bool_and", "bool_or"]).expect("some"), sight.condition(1, rng)),
        7 => format!("count(DISTINCT {})", sight.expression(Type::Text, 1, rng)),
        _ => format!("sum({}) FILTER (WHERE {})", sight.expression(Type::Big, 1, rng), sight.condition(1, rng)),
    }
}

fn grouped(tables: &[Table], rng: &mut Rng) -> String {
    let table = table(tables, rng);
    let sight = Sight::of(table, "a");
    let keys: Vec<String> = (0..rng.below(3)).map(|_| rng.pick(&sight.columns).expect("some").0.clone()).collect();
    let mut given = keys.clone();
    given.extend((0..rng.between(1, 3)).map(|_| aggregate(&sight, rng)));
    let given: Vec<String> =
        given.iter().enumerate().map(|(place, part)| format!("{part} AS x{}", place + 1)).collect();
    let filter = filter(&sight, rng);
    let group = match (keys.is_empty(), rng.one_in(5)) {
        (true, _) => String::new(),
        (_, true) => format!(" GROUP BY ROLLUP ({})", keys.join(", ")),
        _ => format!(" GROUP BY {}", keys.join(", ")),
    };
    let having = if rng.one_in(3) { format!(" HAVING count(*) > {}", rng.below(3)) } else { String::new() };
    format!("SELECT {} FROM {} a{filter}{group}{having}", given.join(", "), table.name)
}

fn combined(tables: &[Table], rng: &mut Rng) -> String {
    let types = types(rng);
    let (one, other) = (table(tables, rng), table(tables, rng));
    let left = format!("SELECT {} FROM {} a", outputs(&Sight::of(one, "a"), &types, rng), one.name);
    // The second half's names do not count: only the first half's are written as ` AS x`.
    let right = outputs(&Sight::of(other, "b"), &types, rng).replace(" AS x", " AS y");
    let operator = rng.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]).expect("some");
    format!("{left} {operator} SELECT {right} FROM {} b{}", other.name, filter(&Sight::of(other, "b"), rng))
}

fn windowed(tables: &[Table], rng: &mut Rng) -> String {
    let table = table(tables, rng);
    let sight = Sight::of(table, "a");
    let by = rng.pick(&sight.columns).expect("some").0.clone();
    let partition = if rng.one_in(2) { format!("PARTITION BY {by} ") } else { String::new() };
    let order = if rng.one_in(2) { " DESC" } else { "" };
    let function = match rng.below(7) {
        0 => "row_number()".to_owned(),
        1 => "rank()".to_owned(),
        2 => format!("sum({})", sight.expression(Type::Int, 1, rng)),
        3 => "count(*)".to_owned(),
        4 => format!("lag({}, 1)", sight.expression(Type::Int, 1, rng)),
        5 => format!("first_value(({})::text)", sight.expression(Type::Text, 1, rng)),
        _ => format!("max({})", sight.expression(Type::Date, 1, rng)),
    };
    let filter = filter(&sight, rng);
    format!("SELECT a.id AS x1, {function} OVER ({partition}ORDER BY a.id{order}) AS x2 FROM {} a{filter}", table.name)
}

fn nested(tables: &[Table], rng: &mut Rng) -> String {
    let (one, other) = (table(tables, rng), table(tables, rng));
    let (sight, inner) = (Sight::of(one, "a"), Sight::of(other, "b"));
    let types = types(rng);
    let outputs = outputs(&sight, &types, rng);
    let condition = inner.condition(1, rng);
    match rng.below(5) {
        0 => format!(
            "SELECT {outputs} FROM {} a WHERE EXISTS (SELECT 1 FROM {} b WHERE b.id = a.id AND {condition})",
            one.name, other.name
        ),
        1 => format!(
            "SELECT {outputs} FROM {} a WHERE a.id {}IN (SELECT b.id FROM {} b WHERE {condition})",
            one.name,
            if rng.one_in(2) { "NOT " } else { "" },
            other.name
        ),
        2 => format!(
            "SELECT a.id AS x1, (SELECT count(*) FROM {} b WHERE b.id < a.id AND {condition}) AS x2 FROM {} a",
            other.name, one.name
        ),
        3 => format!(
            "WITH w AS MATERIALIZED (SELECT b.id FROM {} b WHERE {condition}) SELECT {outputs} FROM {} a JOIN w ON w.id = a.id",
            other.name, one.name
        ),
        _ => format!(
            "SELECT {outputs} FROM {} a, LATERAL (SELECT b.id FROM {} b WHERE b.id >= a.id AND {condition} ORDER BY b.id LIMIT 2) l",
            one.name, other.name
        ),
    }
}
