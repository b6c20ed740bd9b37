//! `annulus status`: a node's view of its cluster, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Outcome, http, print};
use crate::config::{Size, Value as _};
use crate::server::http::status::{MemberStatus, Status};

/// How much is shown of an answer that is no status, characters.
const MOST_SHOWN: usize = 200;

/// Arguments of `annulus status`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's HTTP address, as HOST:PORT.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7480")]
    http: String,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    let address = arguments.http.trim_start_matches("http://").trim_end_matches('/');
    let (code, text) = http::get(address, "/status")?;
    if code != 200 {
        let said: String = text.lines().next().unwrap_or_default().chars().take(MOST_SHOWN).collect();
        let doubt = if code == 503 { "" } else { "; is this the HTTP address of an Annulus node?" };
        let said = if said.is_empty() { said } else { format!(": {said}") };
        return Err(format!("{address} answered {code} to /status{said}{doubt}").into());
    }
    let status = serde_json::from_str(&text).map_err(|error| {
        format!("{address} does not answer like an Annulus node of this version ({error}); is this its HTTP address?")
    })?;
    print(&render(&status))
}

fn render(status: &Status) -> String {
    let mut out = String::new();
    let Status { node, cluster, locks, undecided, undecided_total, log, engine, clients } = status;
    let state = node.not_ready.as_ref().map_or("ready".to_owned(), |reason| format!("NOT READY: {reason}"));
    let id = node.id.map_or("not a member yet".to_owned(), |id| format!("n{id}"));
    let up = cluster.members.iter().filter(|member| member.up).count();
    let members = cluster.members.len();
    let cluster_id = cluster.id.as_deref().unwrap_or("not formed yet");
    let checkpoint = log.checkpoint_age_ms.map_or("none yet".to_owned(), |age| format!("{} ago", duration(age)));
    let rows = [
        ("node", format!("{} ({id}), {state}", node.name)),
        ("", format!("version {}, start {}, up {}", node.version, node.incarnation, duration(node.uptime_ms))),
        ("cluster", format!("{cluster_id}, epoch {}, {up} of {members} members up", cluster.epoch)),
        ("locks", format!("{} keys in {} partitions", locks.keys, locks.partitions)),
        ("undecided", format!("{undecided_total} transactions")),
        ("log", format!("{}, {} records unsynced, checkpoint {checkpoint}", size(log.bytes), log.unsynced)),
        ("engine", format!("{}, {}, disk {} % used", engine.name, size(engine.bytes), engine.disk_used_percent)),
        ("clients", format!("{} connected, {} requests at work", clients.connected, clients.requests)),
    ];
    for (name, text) in rows {
        let _ = writeln!(out, "{name:<10} {text}");
    }
    if !cluster.members.is_empty() {
        let _ = write!(out, "\n{}", table(&members_table(&cluster.members)));
    }
    if !undecided.is_empty() {
        let head = ["undecided transaction", "age"].map(str::to_owned).to_vec();
        let rows = undecided.iter().map(|txn| vec![txn.transaction.clone(), duration(txn.age_ms)]);
        let _ = write!(out, "\n{}", table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    out
}

fn members_table(members: &[MemberStatus]) -> Vec<Vec<String>> {
    let unknown = || "-".to_owned();
    let head = ["member", "name", "zone", "share", "up", "heard", "lag", "version", "peer", "kv", "sql", "http"];
    let row = |member: &MemberStatus| {
        let address = |of: &str| member.addresses.get(of).cloned().unwrap_or_else(unknown);
        vec![
            format!("n{}", member.id),
            member.name.clone(),
            member.zone.clone(),
            format!("{}.{:02} %", member.share / 100, member.share % 100),
            if member.up { "yes" } else { "NO" }.to_owned(),
            member.last_heard_ms.map_or_else(unknown, duration),
            member.lag_ms.map_or_else(unknown, duration),
            member.version.clone().unwrap_or_else(unknown),
            address("peer"),
            address("kv"),
            address("sql"),
            address("http"),
        ]
    };
    std::iter::once(head.map(str::to_owned).to_vec()).chain(members.iter().map(row)).collect()
}

/// Rows with their columns aligned; the first row is the head.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    out
}

/// A duration in its two largest units.
fn duration(millis: u64) -> String {
    let coarse = match millis {
        0..60_000 => millis,
        60_000..3_600_000 => millis - millis % 1_000,
        _ => millis - millis % 60_000,
    };
    humantime::format_duration(Duration::from_millis(coarse)).to_string()
}

/// A size in its largest unit that leaves at least one of it.
fn size(bytes: u64) -> String {
    let unit = [1_u64 << 40, 1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes >= *unit).unwrap_or(1);
    Size(bytes - bytes % unit).print()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::server::http::status::UndecidedStatus;

    fn member(id: u32, up: bool) -> MemberStatus {
        let addresses = BTreeMap::from([("kv".to_owned(), format!("127.0.0.1:{id}"))]);
        let (name, zone) = (format!("node{id}"), "default".to_owned());
        MemberStatus { id, name, zone, share: 3_334, up, addresses, ..MemberStatus::default() }
    }

    #[test]
    fn a_status_says_who_is_up_and_what_is_stuck() {
        let mut status = Status::default();
        status.node.name = "node1".to_owned();
        status.node.not_ready = Some("only 1 of 3 members can be reached".to_owned());
        status.cluster.members = vec![member(1, true), member(2, false)];
        status.undecided = vec![UndecidedStatus { transaction: "a-1-1-1".to_owned(), age_ms: 61_001 }];
        status.undecided_total = 1;
        status.log.bytes = 3 << 20;
        let text = render(&status);
        for expected in [
            "node       node1 (not a member yet), NOT READY: only 1 of 3 members can be reached",
            "cluster    not formed yet, epoch 0, 1 of 2 members up",
            "undecided  1 transactions",
            "log        3 MiB, 0 records unsynced, checkpoint none yet",
            "n2      node2  default  33.34 %  NO   -      -    -        -     127.0.0.1:2  -    -",
            "a-1-1-1                1m 1s",
        ] {
            assert!(text.contains(expected), "'{expected}' is missing in\n{text}");
        }
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!([duration(0), duration(1_500), duration(3_661_500)], ["0s", "1s 500ms", "1h 1m"]);
        assert_eq!([size(0), size(1_023), size(1_025), size(5 << 30)], ["0 B", "1023 B", "1 KiB", "5 GiB"]);
    }
}
