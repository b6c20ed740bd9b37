//! A cycle in words.

use std::collections::BTreeSet;

use super::cycle::Step;
use super::edges::kind;
use super::versions::Versions;
use super::{Id, Txn};
use crate::verdict::{Anomaly, Verdict};

/// The verdict that a cycle gives.
pub(super) fn verdict<K: Id, V: Id>(
    txns: &[Txn<K, V>],
    versions: &Versions<'_, K, V>,
    anomaly: Anomaly,
    cycle: &[Step],
) -> Verdict {
    let mut why = String::new();
    let mut keys = BTreeSet::new();
    for step in cycle {
        if step.edge.kind != kind::TIME {
            keys.insert(step.edge.key);
        }
        why += &format!("T{} before T{}: {}\n", step.from, step.edge.to, reason(txns, versions, step));
    }
    for step in cycle {
        why += &describe(step.from as usize, &txns[step.from as usize]);
    }
    let keys = keys.into_iter().map(|key| format!("{:?}", versions.keys[key as usize].0));
    Verdict::invalid(anomaly, cycle.iter().map(|step| step.from as usize), keys, why)
}

fn reason<K: Id, V: Id>(txns: &[Txn<K, V>], versions: &Versions<'_, K, V>, step: &Step) -> String {
    let (a, b) = (step.from, step.edge.to);
    let key = || versions.keys[step.edge.key as usize].0;
    match step.edge.kind {
        kind::WW => format!("ww, T{b} wrote the next version of key {:?}", key()),
        kind::WR => format!("wr, T{b} read the version of key {:?} that T{a} wrote", key()),
        kind::RW => format!("rw, T{a} did not see the version of key {:?} that T{b} wrote", key()),
        kind::PHANTOM => format!("rw, T{a} read a range without the version of key {:?} that T{b} wrote", key()),
        _ => {
            let ended = txns[a as usize].completed.unwrap_or(u64::MAX);
            format!("real time, T{a} ended at {ended}, T{b} was asked at {}", txns[b as usize].invoked)
        }
    }
}

fn describe<K: Id, V: Id>(id: usize, txn: &Txn<K, V>) -> String {
    let end = txn.completed.map_or("no end".to_owned(), |end| end.to_string());
    let mut text = format!("T{id} = {:?}, {} to {end}:", txn.fate, txn.invoked);
    for (key, version) in &txn.reads {
        let version = version.as_ref().map_or("nothing".to_owned(), |version| format!("{version:?}"));
        text += &format!(" read {key:?} = {version},");
    }
    for range in &txn.ranges {
        let to = range.to.as_ref().map_or("end".to_owned(), |to| format!("{to:?}"));
        text += &format!(" read {:?}..{to} = {:?},", range.from, range.rows);
    }
    for write in &txn.writes {
        let verb = if write.present { "write" } else { "delete" };
        text += &format!(" {verb} {:?} as {:?},", write.key, write.version);
    }
    text.truncate(text.trim_end_matches([',', ':']).len());
    text.push('\n');
    text
}
