//! How long the checkers take, printed by `cargo test -p annulus-check measure -- --nocapture`.

use std::time::Instant;

use crate::fixture::{Mix, serial_with};
use crate::history::History;
use crate::verdict::Verdict;
use crate::{graph, linearizable, monotonic, serializable, set, snapshot};

/// A name, what the transactions do, the largest history, the checker.
type Checker = (&'static str, Mix, usize, fn(&History) -> Verdict);

const CHECKERS: [Checker; 8] = [
    ("serializable (adya)", Mix::Lists, 3_000, serializable::check),
    ("serializable (adya)", Mix::RegisterTransactions, 1_000, serializable::check),
    ("graph", Mix::Lists, 3_000, graph::check_history),
    ("graph", Mix::RegisterTransactions, 3_000, graph::check_history),
    ("linearizable", Mix::Registers, 3_000, |history| linearizable::check(history, 10_000_000)),
    ("set", Mix::Lists, 3_000, set::check),
    ("monotonic", Mix::Lists, 3_000, monotonic::check),
    ("snapshot", Mix::Lists, 3_000, snapshot::check_commits),
];

#[test]
fn measure() {
    println!("milliseconds for valid histories; about 8 operations at a time, 1 in 50 unknown");
    for (name, mix, largest, check) in CHECKERS {
        let sizes = [(300, 8), (1_000, 8), (3_000, 24), (3_000, 1)];
        for (count, keys) in sizes.into_iter().filter(|(count, _)| *count <= largest) {
            let history = serial_with(1, mix, count, keys, 50);
            let took = millis(|| check(&history).is_valid());
            println!("{name:20} {mix:22?} {count:5} ops, {keys:2} keys: {took:8.2}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn millis(valid: impl FnOnce() -> bool) -> f64 {
    let start = Instant::now();
    assert!(valid());
    start.elapsed().as_secs_f64() * 1e3
}
