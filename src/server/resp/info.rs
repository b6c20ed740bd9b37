//! What `INFO` tells, in the sections and words of Redis, as far as they have a meaning here.

use std::fmt::Write;

use bytes::Bytes;

use super::commands::connection::REDIS_VERSION;
use super::shared::Shared;

/// Lines of a section, without its headline.
type Section = fn(&Shared, &mut String) -> std::fmt::Result;

/// The sections, and whether each is told when none is asked for.
const SECTIONS: [(&str, bool, Section); 8] = [
    ("Server", true, server),
    ("Clients", true, clients),
    ("Memory", true, memory),
    ("Persistence", true, persistence),
    ("Stats", true, stats),
    ("Replication", true, replication),
    ("Commandstats", false, command_stats),
    ("Cluster", true, cluster),
];

/// Whether the number of keys is asked for: counting them takes time, so only who asks by name gets it.
#[must_use]
pub fn wants_keyspace(asked: &[Bytes]) -> bool {
    let wanted =
        |word: &Bytes| ["keyspace", "all", "everything"].iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    asked.iter().any(wanted)
}

/// The text of `INFO` for the sections asked for, with the number of keys of databases that have any.
#[must_use]
pub fn info(shared: &Shared, asked: &[Bytes], keyspace: &[(u8, usize)]) -> String {
    let is = |word: &Bytes, name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let all = asked.iter().any(|word| is(word, "all") || is(word, "everything"));
    let default = asked.is_empty() || asked.iter().any(|word| is(word, "default"));
    let mut out = String::new();
    for (name, by_default, lines) in SECTIONS {
        if all || (default && by_default) || asked.iter().any(|word| is(word, name)) {
            headline(&mut out, name);
            // Writing into a string cannot fail.
            let _ = lines(shared, &mut out);
        }
    }
    if wants_keyspace(asked) {
        headline(&mut out, "Keyspace");
        for (db, keys) in keyspace {
            let _ = write!(out, "db{db}:keys={keys},expires=0,avg_ttl=0\r\n");
        }
    }
    out
}

fn headline(out: &mut String, name: &str) {
    if !out.is_empty() {
        out.push_str("\r\n");
    }
    let _ = write!(out, "# {name}\r\n");
}

fn server(shared: &Shared, out: &mut String) -> std::fmt::Result {
    let uptime = shared.started.elapsed().as_secs();
    write!(out, "redis_version:{REDIS_VERSION}\r\nannulus_version:{}\r\n", *crate::VERSION)?;
    write!(out, "redis_mode:standalone\r\nos:{}\r\narch_bits:{}\r\n", std::env::consts::OS, usize::BITS)?;
    write!(out, "process_id:{}\r\nserver_time_usec:{}\r\n", std::process::id(), shared.wall())?;
    write!(out, "uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n", uptime / 86_400)
}

fn clients(shared: &Shared, out: &mut String) -> std::fmt::Result {
    let (connected, most) = (shared.clients.count(), shared.config.max_clients);
    write!(out, "connected_clients:{connected}\r\nmaxclients:{most}\r\nblocked_clients:0\r\n")
}

fn memory(shared: &Shared, out: &mut String) -> std::fmt::Result {
    let resident = resident_bytes();
    write!(out, "used_memory:{resident}\r\nused_memory_rss:{resident}\r\n")?;
    write!(out, "client_buffers:{}\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", shared.stats.buffered.get())
}

/// The memory of this process in bytes; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).map_or(0, |pages: u64| pages * PAGE)
}

fn persistence(_: &Shared, out: &mut String) -> std::fmt::Result {
    write!(out, "loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\n")
}

fn stats(shared: &Shared, out: &mut String) -> std::fmt::Result {
    let (stats, total) = (&shared.stats, shared.stats.total());
    write!(out, "total_connections_received:{}\r\n", stats.connections.get())?;
    write!(out, "total_commands_processed:{}\r\n", total.calls)?;
    write!(out, "total_net_input_bytes:{}\r\n", stats.received.get())?;
    write!(out, "total_net_output_bytes:{}\r\n", stats.sent.get())?;
    write!(out, "rejected_connections:{}\r\n", stats.rejected.get())?;
    write!(out, "expired_keys:{}\r\nevicted_keys:0\r\n", stats.expired.get())?;
    write!(out, "total_error_replies:{}\r\n", total.failed)?;
    write!(out, "transaction_retries:{}\r\ncombined_writes:{}\r\n", stats.retries.get(), stats.combined.get())?;
    write!(out, "collected_keys:{}\r\n", stats.collected.get())
}

fn replication(shared: &Shared, out: &mut String) -> std::fmt::Result {
    write!(out, "role:master\r\nconnected_slaves:0\r\ndurable_copies:{}\r\n", shared.durable_copies)
}

fn cluster(_: &Shared, out: &mut String) -> std::fmt::Result {
    write!(out, "cluster_enabled:0\r\n")
}

fn command_stats(shared: &Shared, out: &mut String) -> std::fmt::Result {
    for (name, stats) in shared.stats.commands() {
        let micros = stats.time.as_micros();
        let per_call = micros as f64 / stats.calls.max(1) as f64;
        write!(out, "cmdstat_{name}:calls={},usec={micros},usec_per_call={per_call:.2},", stats.calls)?;
        write!(out, "rejected_calls=0,failed_calls={}\r\n", stats.failed)?;
    }
    Ok(())
}
