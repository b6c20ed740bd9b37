//! Open files: a flood of clients must never take those that the log and the engine need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a node opens beside its clients' connections: the engine caches up to 900, 256 clients may just be told
/// that there is no room for them, and the log, the peers and HTTP have some.
const OWN: u64 = 1500;

/// Makes room for that many connections of clients, and says for how many there is room beside the `others`.
pub fn make_room(clients: usize, others: usize) -> usize {
    let own = OWN + others as u64;
    let needed = clients as u64 + own;
    let limit = getrlimit(Resource::Nofile);
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    let mut allowed = limit.current.unwrap_or(needed);
    // Where that is refused, the old limit holds.
    if allowed < raised && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
        allowed = raised;
    }
    let room = room(allowed, own, clients);
    if room < clients {
        tracing::warn!(
            open_files = allowed,
            max_clients = room,
            "the limit on open files leaves room for fewer clients than max_clients; raise it (ulimit -n {needed}, or LimitNOFILE={needed})"
        );
    }
    room
}

/// How many of the allowed files clients may take: never more than half where there are few.
fn room(allowed: u64, own: u64, clients: usize) -> usize {
    let free = allowed - own.min(allowed / 2);
    usize::try_from(free).map_or(clients, |free| free.min(clients))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_take_the_nodes_own_files() {
        assert_eq!(room(20_000, OWN, 10_000), 10_000);
        assert_eq!(room(5_000, OWN, 10_000), 3_500);
        assert_eq!(room(1_024, OWN, 10_000), 512);
    }
}
