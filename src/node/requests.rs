//! What the key-value server has counted, on the metrics page.

use crate::metrics::{Family, Metrics};
use crate::server::resp::commands;
use crate::server::resp::stats::{PerCommand, Stats};

/// Brings the metrics of clients and their requests up to date.
pub(super) fn measure(metrics: &Metrics, stats: &Stats) {
    let clients = &metrics.clients;
    clients.accepted.absolute(stats.connections.get());
    clients.refused.absolute(stats.rejected.get());
    clients.bytes_in.absolute(stats.received.get());
    clients.bytes_out.absolute(stats.sent.get());
    let mut families = [PerCommand::default(); Family::ALL.len()];
    for (name, one) in stats.commands() {
        let sum = &mut families[family(name) as usize];
        sum.calls += one.calls;
        sum.failed += one.failed;
    }
    for (of, sum) in Family::ALL.into_iter().zip(families) {
        metrics.requests(of).answered.absolute(sum.calls);
        metrics.requests(of).errors.absolute(sum.failed);
    }
}

/// The family of a command, by its name in the command table.
fn family(name: &str) -> Family {
    let Some((_, command)) = commands::all().find(|(_, command)| command.name == name) else { return Family::Other };
    let (first, last, _) = command.keys;
    match (name, first == last) {
        ("exec", _) => Family::Transaction,
        ("keys" | "scan" | "dbsize" | "randomkey", _) => Family::Scan,
        _ if command.is_write() && first == 0 => Family::MultiWrite,
        _ if first == 0 => Family::Other,
        (_, true) if command.is_write() => Family::Write,
        (_, true) => Family::Read,
        _ if command.is_write() => Family::MultiWrite,
        _ => Family::MultiRead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_family_of_their_cost() {
        let of = |names: &[&str]| names.iter().map(|name| family(name)).collect::<Vec<_>>();
        assert_eq!(of(&["get", "strlen", "ttl"]), [Family::Read; 3]);
        assert_eq!(of(&["set", "incr", "expire"]), [Family::Write; 3]);
        assert_eq!(of(&["mget", "exists"]), [Family::MultiRead; 2]);
        assert_eq!(of(&["mset", "del", "flushdb"]), [Family::MultiWrite; 3]);
        assert_eq!(
            of(&["exec", "scan", "ping", "nonsense"]),
            [Family::Transaction, Family::Scan, Family::Other, Family::Other]
        );
    }
}
