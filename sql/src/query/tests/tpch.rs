//! TPC-H's queries over a little data, whose results are PostgreSQL's.

use super::world::World;

/// The benchmark's queries, which are those of the specification.
const QUERIES: &str = include_str!("../../../../benches/src/tpch/queries.sql");
/// Conditions that almost nothing meets in so little data, and what stands for them.
const WIDENED: [(&str, &str); 4] = [
    ("p_size = 15", "p_size < 30"),
    ("(0.0001 / :scale)", "0.01"),
    ("interval '1' month", "interval '6' month"),
    ("> 300", "> 150"),
];

fn world() -> World {
    let mut world = World::new(include_str!("tpch/schema.sql"));
    for table in include_str!("tpch/data.txt").split("# ").filter(|part| !part.is_empty()) {
        let (name, rows) = table.split_once('\n').unwrap();
        world.copy(name, rows);
    }
    world
}

#[test]
fn results_are_those_of_postgresql() {
    let world = world();
    let queries = WIDENED.iter().fold(QUERIES.to_owned(), |queries, (narrow, wide)| queries.replace(narrow, wide));
    let results = include_str!("tpch/results.txt").split("# ").filter(|part| !part.is_empty());
    let mut wrong = Vec::new();
    for (query, result) in queries.lines().zip(results) {
        let (number, wanted) = result.split_once('\n').unwrap();
        let wanted: Vec<&str> = wanted.lines().collect();
        match world.query(query) {
            Ok((_, rows)) => {
                let rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
                if rows != wanted {
                    wrong.push(format!("{number}:\n  got    {rows:?}\n  wanted {wanted:?}"));
                }
            }
            Err(error) => wrong.push(format!("{number}: {error:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
