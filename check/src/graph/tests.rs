//! Hand-made graphs for each anomaly, all orders tried for random small ones, and histories of clients.

use annulus_base::rng::Rng;

use super::*;
use crate::fixture::{Mix, append, history, list, none, ok, op, r, serial, w};
use crate::history::{Op, Outcome, Step};
use crate::verdict::Anomaly;

type T = Txn<&'static str, u64>;

fn txn(invoked: u64, completed: u64, reads: &[(&'static str, u64)], writes: &[(&'static str, u64)]) -> T {
    let seen = |version: u64| Some(version).filter(|version| *version > 0);
    Txn {
        invoked,
        completed: Some(completed),
        fate: Fate::Committed,
        reads: reads.iter().map(|(key, version)| (*key, seen(*version))).collect(),
        ranges: Vec::new(),
        writes: writes.iter().map(|(key, version)| Write { key: *key, version: *version, present: true }).collect(),
    }
}

fn verdict(txns: &[T]) -> Verdict {
    check(txns, &order_by_version(txns))
}

fn anomaly(txns: &[T]) -> Anomaly {
    let verdict = verdict(txns);
    verdict.violation().unwrap_or_else(|| panic!("{verdict}")).anomaly
}

#[test]
fn good_ones() {
    assert!(verdict(&[]).is_valid());
    let serial = [
        txn(0, 9, &[("x", 0)], &[("x", 1)]),
        txn(1, 8, &[("x", 1)], &[("x", 2), ("y", 2)]),
        txn(10, 11, &[("x", 2), ("y", 2)], &[]),
    ];
    assert_eq!(verdict(&serial), Verdict::Valid);
    let touching = [txn(0, 5, &[], &[("x", 1)]), txn(5, 6, &[("x", 0)], &[])];
    assert_eq!(verdict(&touching), Verdict::Valid);
}

#[test]
fn each_cycle_has_its_name() {
    let txns = [txn(0, 9, &[], &[("x", 1), ("y", 2)]), txn(0, 9, &[], &[("x", 2), ("y", 1)])];
    assert_eq!(anomaly(&txns), Anomaly::G0);
    let txns = [txn(0, 9, &[("y", 1)], &[("x", 1)]), txn(0, 9, &[("x", 1)], &[("y", 1)])];
    assert_eq!(anomaly(&txns), Anomaly::G1c);
    let txns = [txn(0, 9, &[], &[("x", 1), ("y", 1)]), txn(0, 9, &[("x", 1), ("y", 0)], &[])];
    assert_eq!(anomaly(&txns), Anomaly::GSingle);
    let txns = [txn(0, 9, &[("x", 0)], &[("x", 1)]), txn(0, 9, &[("x", 0)], &[("x", 2)])];
    assert_eq!(anomaly(&txns), Anomaly::LostUpdate);
    let skew = [txn(0, 9, &[("x", 0)], &[("y", 1)]), txn(0, 9, &[("y", 0)], &[("x", 1)])];
    assert_eq!(anomaly(&skew), Anomaly::G2Item);
    let long_fork = [
        txn(0, 9, &[], &[("x", 1)]),
        txn(0, 9, &[], &[("y", 1)]),
        txn(0, 9, &[("x", 1), ("y", 0)], &[]),
        txn(0, 9, &[("x", 0), ("y", 1)], &[]),
    ];
    assert_eq!(anomaly(&long_fork), Anomaly::G2Item);
    let stale = [txn(0, 1, &[], &[("x", 1)]), txn(2, 3, &[("x", 0)], &[])];
    assert_eq!(anomaly(&stale), Anomaly::StaleRead);
    let reversed = [txn(2, 3, &[], &[("x", 1)]), txn(0, 1, &[], &[("x", 2)])];
    assert_eq!(anomaly(&reversed), Anomaly::Strict);
    // In no two of these does one contradict the other: only all together do.
    let far = [txn(0, 1, &[], &[("x", 1)]), txn(2, 3, &[], &[("y", 1)]), txn(0, 9, &[("x", 0), ("y", 1)], &[])];
    assert_eq!(anomaly(&far), Anomaly::Strict);
    assert_eq!(verdict(&far).violation().unwrap().ops.len(), 3);
}

#[test]
fn phantoms() {
    let range = |rows: &[(&'static str, u64)]| RangeRead { from: "a", to: Some("m"), rows: rows.to_vec() };
    let counting = |rows, writes| Txn { ranges: vec![range(rows)], ..txn(0, 9, &[], writes) };
    let both_insert = [counting(&[], &[("b", 1)]), counting(&[], &[("c", 1)])];
    assert_eq!(anomaly(&both_insert), Anomaly::G2);
    let outside = [counting(&[], &[("m", 1)]), counting(&[], &[("n", 1)])];
    assert_eq!(verdict(&outside), Verdict::Valid);
    let one_sees = [counting(&[], &[("b", 1)]), counting(&[("b", 1)], &[("c", 1)])];
    assert_eq!(verdict(&one_sees), Verdict::Valid);
    let mut deleted = vec![txn(0, 1, &[], &[("b", 1)]), txn(2, 3, &[], &[("b", 2)]), counting(&[], &[])];
    deleted[2].invoked = 4;
    assert_eq!(anomaly(&deleted), Anomaly::StaleRead);
    deleted[1].writes[0].present = false;
    assert_eq!(verdict(&deleted), Verdict::Valid);
    deleted.push(txn(3, 3, &[], &[("b", 3)]));
    assert_eq!(anomaly(&deleted), Anomaly::StaleRead);
}

#[test]
fn writes_that_do_not_fit() {
    let mut aborted = [txn(0, 1, &[], &[("x", 1)]), txn(2, 3, &[("x", 1)], &[])];
    aborted[0].fate = Fate::Aborted;
    assert_eq!(anomaly(&aborted), Anomaly::G1a);
    assert_eq!(anomaly(&[txn(0, 1, &[("x", 7)], &[])]), Anomaly::Invented);
    let twice = [txn(0, 1, &[], &[("x", 1)]), txn(2, 3, &[], &[("x", 1)])];
    assert_eq!(anomaly(&twice), Anomaly::Duplicate);
    let lost = [txn(0, 1, &[], &[("x", 1), ("y", 1)])];
    let found = check(&lost, &Order::from([("x", vec![1])]));
    assert_eq!(found.violation().unwrap().anomaly, Anomaly::LostWrite);
    let mut torn = lost;
    torn[0].fate = Fate::Unknown;
    let found = check(&torn, &Order::from([("x", vec![1])]));
    assert_eq!(found.violation().unwrap().anomaly, Anomaly::Torn);
    assert_eq!(check(&torn, &Order::new()), Verdict::Valid);
    let exists = [T { fate: Fate::Aborted, ..txn(0, 1, &[], &[("x", 1)]) }];
    assert_eq!(check(&exists, &Order::from([("x", vec![1])])).violation().unwrap().anomaly, Anomaly::G1a);
}

#[test]
fn unknown_transactions_count_once_somebody_saw_them() {
    let mut txns = vec![txn(0, 1, &[], &[("x", 1), ("y", 1)]), txn(2, 3, &[("x", 0)], &[])];
    txns[0].fate = Fate::Unknown;
    txns[0].completed = None;
    assert_eq!(verdict(&txns), Verdict::Valid);
    txns.push(txn(4, 5, &[("x", 1), ("y", 1)], &[]));
    assert_eq!(verdict(&txns), Verdict::Valid);
    txns.push(txn(6, 7, &[("y", 0)], &[]));
    assert!(!verdict(&txns).is_valid());
}

#[test]
fn explanations_say_which_and_why() {
    let skew = [txn(0, 9, &[("x", 0)], &[("y", 1)]), txn(0, 9, &[("y", 0)], &[("x", 1)])];
    let violation = verdict(&skew).violation().unwrap().clone();
    assert_eq!(violation.ops.len(), 2);
    assert_eq!(violation.keys, ["\"x\"", "\"y\""]);
    assert!(violation.why.contains("did not see the version of key \"x\" that T1 wrote"), "{violation}");
}

/// Whether some order of the transactions explains the reads and gives the order of versions.
fn by_force(left: &[&T], state: &mut Order<&'static str, u64>, order: &Order<&'static str, u64>) -> bool {
    if left.is_empty() {
        return order.iter().all(|(key, versions)| versions.is_empty() || state.get(key) == Some(versions));
    }
    let first_end = left.iter().filter_map(|txn| txn.completed).min().unwrap_or(u64::MAX);
    (0..left.len()).any(|at| {
        let txn = left[at];
        let now = |key| state.get(key).and_then(|versions| versions.last()).copied();
        if txn.invoked > first_end || txn.reads.iter().any(|(key, version)| now(key) != *version) {
            return false;
        }
        let mut next = state.clone();
        for write in &txn.writes {
            next.entry(write.key).or_default().push(write.version);
        }
        let rest: Vec<_> = left.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, txn)| *txn).collect();
        by_force(&rest, &mut next, order)
    })
}

#[test]
fn it_agrees_with_trying_all_orders() {
    let mut wrong = 0;
    for seed in 0..6_000 {
        let mut rng = Rng::new(seed);
        let mut versions = std::collections::BTreeMap::new();
        let mut txns: Vec<T> = Vec::new();
        for id in 1..=5 {
            let invoked = rng.below(20);
            let mut new = txn(invoked, invoked + rng.below(20), &[], &[]);
            for key in ["x", "y", "z"] {
                if rng.one_in(3) {
                    new.writes.push(Write { key, version: id, present: true });
                    versions.entry(key).or_insert_with(Vec::new).push(id);
                }
            }
            txns.push(new);
        }
        for list in versions.values_mut() {
            rng.shuffle(list);
        }
        for txn in &mut txns {
            for (key, list) in &versions {
                if rng.one_in(2) {
                    continue;
                }
                let own = |version: &u64| txn.writes.iter().any(|w| w.key == *key && w.version == *version);
                let seen = rng.pick(list).copied().filter(|version| !own(version) && *version > 1);
                txn.reads.push((*key, seen));
            }
        }
        let expected = by_force(&txns.iter().collect::<Vec<_>>(), &mut Order::new(), &versions);
        wrong += u64::from(!expected);
        let verdict = check(&txns, &versions);
        assert_eq!(verdict.is_valid(), expected, "seed {seed}: {txns:?}, {versions:?}: {verdict}");
    }
    assert!((2_000..5_900).contains(&wrong), "{wrong} of 6000");
}

#[test]
fn random_serial_executions_pass() {
    for seed in 0..100 {
        for mix in [Mix::Lists, Mix::Registers, Mix::RegisterTransactions] {
            let verdict = check_history(&serial(seed, mix, 300, 5));
            assert!(verdict.is_valid(), "seed {seed}, {mix:?}: {verdict}");
        }
    }
}

#[test]
fn histories_of_clients() {
    let at = |at, op: Op| Op { committed_at: Some(at), ..op };
    let anomaly = |ops: Vec<Op>| {
        let verdict = check_history(&history(ops));
        verdict.violation().unwrap_or_else(|| panic!("{verdict}")).anomaly
    };
    let stale = vec![at(1, ok(0, 1, vec![w(1, 1)])), at(2, ok(2, 3, vec![w(1, 2)])), ok(4, 5, vec![r(1, 1)])];
    assert_eq!(anomaly(stale), Anomaly::StaleRead);
    let lost = vec![at(1, ok(0, 1, vec![append(1, 1)])), ok(2, 3, vec![none(1)])];
    assert_eq!(anomaly(lost), Anomaly::StaleRead);
    let update = vec![at(1, ok(0, 9, vec![none(1), w(1, 1)])), at(2, ok(1, 8, vec![none(1), w(1, 2)]))];
    assert_eq!(anomaly(update), Anomaly::LostUpdate);
    let skew = vec![at(1, ok(0, 9, vec![none(1), w(2, 1)])), at(2, ok(1, 8, vec![none(2), w(1, 2)]))];
    assert_eq!(anomaly(skew), Anomaly::G2Item);
    let aborted = vec![op(0, 1, Outcome::Fail, vec![append(1, 1)]), ok(2, 3, vec![list(1, &[1])])];
    assert_eq!(anomaly(aborted), Anomaly::G1a);
    let intermediate = vec![at(1, ok(0, 9, vec![w(1, 1), w(1, 2)])), ok(1, 8, vec![r(1, 1)])];
    assert_eq!(anomaly(intermediate), Anomaly::G1b);
    let gap =
        vec![at(1, ok(0, 9, vec![append(1, 1)])), at(2, ok(1, 8, vec![append(1, 2)])), ok(10, 11, vec![list(1, &[2])])];
    assert_eq!(anomaly(gap), Anomaly::IncompatibleOrder);
    assert_eq!(anomaly(vec![ok(0, 1, vec![list(1, &[3])])]), Anomaly::Invented);
    let own = vec![at(1, ok(0, 1, vec![append(1, 1), none(1)]))];
    assert_eq!(anomaly(own), Anomaly::Internal);
    let future = vec![at(1, ok(0, 1, vec![list(1, &[1]), append(1, 1)]))];
    assert_eq!(anomaly(future), Anomaly::Internal);
    let torn = vec![at(1, op(0, 1, Outcome::Unknown, vec![w(1, 1), w(2, 1)])), ok(2, 3, vec![r(1, 1), none(2)])];
    assert_eq!(anomaly(torn), Anomaly::GSingle);
    let unstamped = vec![ok(0, 1, vec![w(1, 1)])];
    assert!(matches!(check_history(&history(unstamped)), Verdict::Undecided(_)));
    // Nobody read it, but somebody found what it expected: so it committed, at an unknown time.
    let expected = Step::Expect { key: 1, value: Some(1) };
    let followed = vec![op(0, 1, Outcome::Unknown, vec![w(1, 1)]), at(2, ok(0, 3, vec![expected, w(1, 2)]))];
    assert!(matches!(check_history(&history(followed)), Verdict::Undecided(_)));
    let added = vec![ok(0, 1, vec![Step::Add { key: 1, amount: 1 }])];
    assert!(matches!(check_history(&history(added)), Verdict::Undecided(_)));
}

/// Gives some reads what another read of the same key found.
fn corrupted(seed: u64, mut history: crate::history::History) -> crate::history::History {
    let mut rng = Rng::new(seed);
    let ops = history.ops.len() as u64;
    for _ in 0..2 {
        let from = history.ops[rng.below(ops) as usize].clone();
        let Some((key, stolen)) = from.found().next().map(|(key, found)| (key, found.clone())) else { continue };
        let reads = history.ops.iter_mut().filter(|op| op.is_ok()).flat_map(|op| &mut op.steps);
        let mut reads: Vec<_> = reads
            .filter_map(|step| match step {
                Step::Read { key: of, found: Some(found) } if *of == key => Some(found),
                _ => None,
            })
            .collect();
        let target = rng.below(reads.len() as u64) as usize;
        *reads[target] = stolen;
    }
    history
}

/// What the other checkers find from values alone, this one must find too.
#[test]
fn it_finds_what_the_other_checkers_find() {
    let mut found = 0;
    for seed in 0..150 {
        for mix in [Mix::Lists, Mix::Registers, Mix::RegisterTransactions] {
            let history = corrupted(seed, serial(seed, mix, 60, 3));
            let ours = check_history(&history);
            let mut others = vec![crate::serializable::check(&history)];
            if mix != Mix::Lists {
                others.push(crate::linearizable::check(&history, 1_000_000));
            }
            for other in others.iter().filter(|other| other.violation().is_some()) {
                found += 1;
                assert!(ours.violation().is_some(), "seed {seed}, {mix:?}: {ours}, but {other}");
            }
        }
    }
    assert!(found > 200, "{found}");
}
