//! Everything that a node counts and times: names, units and meanings, each said once.
//!
//! Promises:
//! - Handles are made once and then cost one atomic operation per event; no name is looked up on the way.
//! - Names follow Prometheus: base units (seconds, bytes), `_total` for what only grows.
//! - Every name of [`DESCRIPTIONS`] is on the metrics page from the start, but for those labelled by peer.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// What is counted or timed under one name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// Its name on the metrics page.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What it says.
    pub help: &'static str,
}

const METADATA: Metadata<'_> = Metadata::new("annulus", Level::INFO, None);

/// A kind of handle that a recorder gives out.
trait Handle {
    fn describe(recorder: &PrometheusRecorder, description: &Description);
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self;
}

macro_rules! handle {
    ($kind:ty, $describe:ident, $register:ident) => {
        impl Handle for $kind {
            fn describe(recorder: &PrometheusRecorder, description: &Description) {
                recorder.$describe(description.name.into(), Some(description.unit), description.help.into());
            }

            fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
                recorder.$register(key, &METADATA)
            }
        }
    };
}

handle!(Counter, describe_counter, register_counter);
handle!(Gauge, describe_gauge, register_gauge);
handle!(Histogram, describe_histogram, register_histogram);

macro_rules! metrics {
    ($( $(#[$group_doc:meta])* $group:ident {
        $( $(#[doc = $doc:literal])+ $field:ident: $kind:ident = $name:literal $([$label:literal = $value:literal])?, $unit:ident; )+
    } )+) => {
        $(
            $(#[$group_doc])*
            #[derive(Clone, Debug)]
            pub struct $group { $( $(#[doc = $doc])+ pub $field: $kind, )+ }

            impl $group {
                fn new(recorder: &PrometheusRecorder, labels: &[Label]) -> Self {
                    Self { $( $field: {
                        let description = Description { name: $name, unit: Unit::$unit, help: concat!($($doc),+).trim_ascii() };
                        $kind::describe(recorder, &description);
                        let fixed: &[Label] = &[$( Label::from_static_parts($label, $value) )?];
                        $kind::register(recorder, &Key::from_parts($name, [labels, fixed].concat()))
                    }, )+ }
                }
            }
        )+

        /// All names, in groups. A name that stands several times has a label.
        pub const DESCRIPTIONS: &[Description] = &[$($(
            Description { name: $name, unit: Unit::$unit, help: concat!($($doc),+).trim_ascii() },
        )+)+];
    };
}

metrics! {
    /// Key-value requests of one [`Family`] (label `family`).
    RequestMetrics {
        /// Requests answered, errors included.
        answered: Counter = "annulus_requests_total", Count;
        /// Requests answered with an error.
        errors: Counter = "annulus_request_errors_total", Count;
        /// From the whole request received to its reply ready.
        duration: Histogram = "annulus_request_duration_seconds", Seconds;
    }

    /// Requests for the pages over HTTP.
    HttpMetrics {
        /// HTTP requests answered, errors included.
        answered: Counter = "annulus_http_requests_total", Count;
        /// From an HTTP request's head received to its answer ready.
        duration: Histogram = "annulus_http_request_duration_seconds", Seconds;
    }

    /// Transactions that this node coordinated.
    TransactionMetrics {
        /// Committed transactions by path.
        committed_fast: Counter = "annulus_transactions_committed_total" ["path" = "fast"], Count;
        /// Committed transactions by path.
        committed_slow: Counter = "annulus_transactions_committed_total" ["path" = "slow"], Count;
        /// Committed transactions by path.
        committed_recovered: Counter = "annulus_transactions_committed_total" ["path" = "recovered"], Count;
        /// Transactions without effect by reason.
        aborted_conflict: Counter = "annulus_transactions_aborted_total" ["reason" = "conflict"], Count;
        /// Transactions without effect by reason.
        aborted_unavailable: Counter = "annulus_transactions_aborted_total" ["reason" = "unavailable"], Count;
        /// Transactions without effect by reason.
        aborted_other: Counter = "annulus_transactions_aborted_total" ["reason" = "other"], Count;
        /// Transactions whose outcome could not be told to the client in time.
        unknown: Counter = "annulus_transactions_unknown_total", Count;
        /// Tries after the first one.
        retries: Counter = "annulus_transaction_retries_total", Count;
        /// From the commit's start to its outcome, retries included.
        duration: Histogram = "annulus_transaction_duration_seconds", Seconds;
        /// From asking for locks ahead of a commit to having them, or not.
        locking: Histogram = "annulus_transaction_lock_seconds", Seconds;
        /// Requests refused because clocks are too far apart.
        clock_drift: Counter = "annulus_clock_drift_refusals_total", Count;
    }

    /// Locks of this replica.
    LockMetrics {
        /// Lock requests that had to wait.
        waits: Counter = "annulus_lock_waits_total", Count;
        /// Soft locks taken away by an older transaction.
        wounded: Counter = "annulus_lock_wounded_total", Count;
        /// Lock requests refused because the key was taken.
        rejected: Counter = "annulus_lock_rejected_total", Count;
        /// Keys locked now, soft or prepared.
        keys: Gauge = "annulus_locked_keys", Count;
        /// Transactions prepared here and undecided now.
        undecided: Gauge = "annulus_undecided_transactions", Count;
        /// Age of the oldest undecided transaction.
        oldest_undecided: Gauge = "annulus_oldest_undecided_seconds", Seconds;
    }

    /// Things that wait inside the node.
    QueueMetrics {
        /// Length of a queue now.
        requests: Gauge = "annulus_queue_length" ["queue" = "requests"], Count;
        /// Length of a queue now.
        log: Gauge = "annulus_queue_length" ["queue" = "log"], Count;
    }

    /// The vote log.
    LogMetrics {
        /// Records appended to the log.
        records: Counter = "annulus_log_records_total", Count;
        /// Bytes appended to the log.
        bytes: Counter = "annulus_log_bytes_total", Bytes;
        /// Syncs of the log to disk.
        syncs: Counter = "annulus_log_syncs_total", Count;
        /// How long one sync of the log took, the write before it included.
        sync: Histogram = "annulus_log_sync_seconds", Seconds;
        /// Records that shared one sync of the log.
        group: Histogram = "annulus_log_group_records", Count;
        /// Size of the log now.
        size: Gauge = "annulus_log_size_bytes", Bytes;
        /// Checkpoints finished.
        checkpoints: Counter = "annulus_checkpoints_total", Count;
        /// How long one checkpoint took.
        checkpoint: Histogram = "annulus_checkpoint_seconds", Seconds;
    }

    /// The storage engine and its disk.
    EngineMetrics {
        /// Versions read from the engine: those that the cache did not have.
        reads: Counter = "annulus_engine_reads_total", Count;
        /// Versions written to the engine.
        writes: Counter = "annulus_engine_writes_total", Count;
        /// Records found damaged by their checksum.
        corrupt: Counter = "annulus_engine_corrupt_records_total", Count;
        /// Versions removed because they were older than the kept history.
        collected: Counter = "annulus_engine_collected_versions_total", Count;
        /// Size of the engine's files now.
        size: Gauge = "annulus_engine_size_bytes", Bytes;
        /// Used share of the data directory's disk now, 0 to 1.
        disk_used: Gauge = "annulus_disk_used_ratio", Count;
    }

    /// Membership gossip.
    GossipMetrics {
        /// Times that a member was suspected to be down.
        suspicions: Counter = "annulus_member_suspicions_total", Count;
        /// Members believed alive now, this node included.
        alive: Gauge = "annulus_members_alive", Count;
        /// Members of the topology.
        members: Gauge = "annulus_members", Count;
        /// The topology's epoch.
        epoch: Gauge = "annulus_epoch", Count;
        /// How far the low-water mark over all members lies behind now.
        low_water_lag: Gauge = "annulus_low_water_lag_seconds", Seconds;
    }

    /// Transactions that this node decided for somebody else, and replicas brought up to date.
    RecoveryMetrics {
        /// Recoveries begun.
        started: Counter = "annulus_recoveries_total", Count;
        /// Recoveries by outcome.
        committed: Counter = "annulus_recovered_transactions_total" ["outcome" = "committed"], Count;
        /// Recoveries by outcome.
        aborted: Counter = "annulus_recovered_transactions_total" ["outcome" = "aborted"], Count;
        /// Reads whose replicas differed.
        mismatches: Counter = "annulus_read_mismatches_total", Count;
        /// Versions received by repair.
        repaired: Counter = "annulus_repaired_versions_total", Count;
    }

    /// Connections to one peer (label `peer`).
    PeerMetrics {
        /// Bytes received from a peer.
        bytes_in: Counter = "annulus_peer_received_bytes_total", Bytes;
        /// Bytes sent to a peer.
        bytes_out: Counter = "annulus_peer_sent_bytes_total", Bytes;
        /// Frames received from a peer.
        frames_in: Counter = "annulus_peer_received_frames_total", Count;
        /// Frames sent to a peer.
        frames_out: Counter = "annulus_peer_sent_frames_total", Count;
        /// Messages to a peer dropped because the queue was full or the connection down.
        dropped: Counter = "annulus_peer_dropped_messages_total", Count;
        /// Connections made to a peer.
        connects: Counter = "annulus_peer_connects_total", Count;
        /// Bytes waiting to be sent to a peer now.
        queue: Gauge = "annulus_peer_queue_bytes", Bytes;
    }

    /// Clients of the key-value interface.
    ClientMetrics {
        /// Clients connected now.
        connected: Gauge = "annulus_clients", Count;
        /// Connections accepted.
        accepted: Counter = "annulus_client_connections_total", Count;
        /// Connections refused because there were too many.
        refused: Counter = "annulus_client_connections_refused_total", Count;
        /// Connections closed because of bytes that are not the protocol.
        broken: Counter = "annulus_client_protocol_errors_total", Count;
        /// Bytes received from clients.
        bytes_in: Counter = "annulus_client_received_bytes_total", Bytes;
        /// Bytes sent to clients.
        bytes_out: Counter = "annulus_client_sent_bytes_total", Bytes;
        /// Requests refused early, by reason.
        shed_overload: Counter = "annulus_requests_shed_total" ["reason" = "overload"], Count;
        /// Requests refused early, by reason.
        shed_disk: Counter = "annulus_requests_shed_total" ["reason" = "disk"], Count;
        /// Requests refused early, by reason.
        shed_memory: Counter = "annulus_requests_shed_total" ["reason" = "memory"], Count;
    }

    /// SQL clients and their statements.
    SqlMetrics {
        /// SQL clients connected now.
        connected: Gauge = "annulus_sql_clients", Count;
        /// SQL connections accepted.
        accepted: Counter = "annulus_sql_connections_total", Count;
        /// SQL connections refused because there were too many.
        refused: Counter = "annulus_sql_connections_refused_total", Count;
        /// SQL connections closed because of bytes that are not the protocol.
        broken: Counter = "annulus_sql_protocol_errors_total", Count;
        /// SQL connections closed because they held too much memory.
        shed_memory: Counter = "annulus_sql_connections_shed_total" ["reason" = "memory"], Count;
        /// Bytes received from SQL clients.
        bytes_in: Counter = "annulus_sql_received_bytes_total", Bytes;
        /// Bytes sent to SQL clients.
        bytes_out: Counter = "annulus_sql_sent_bytes_total", Bytes;
        /// SQL statements begun.
        statements: Counter = "annulus_sql_statements_total", Count;
        /// Errors that SQL clients were told.
        errors: Counter = "annulus_sql_errors_total", Count;
        /// From a simple query, or a portal to be run, received to its answer ready.
        duration: Histogram = "annulus_sql_statement_duration_seconds", Seconds;
    }
}

/// A family of commands whose cost is alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One key read.
    Read,
    /// One key written, whether or not it is read before.
    Write,
    /// Several keys read at one instant.
    MultiRead,
    /// Several keys written atomically.
    MultiWrite,
    /// `EXEC`.
    Transaction,
    /// Ranges: `SCAN`, `KEYS`, `DBSIZE`.
    Scan,
    /// What touches no data.
    Other,
}

impl Family {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::MultiRead, Self::MultiWrite, Self::Transaction, Self::Scan, Self::Other];

    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::MultiRead => "multi_read",
            Self::MultiWrite => "multi_write",
            Self::Transaction => "transaction",
            Self::Scan => "scan",
            Self::Other => "other",
        }
    }
}

/// Upper bounds of duration buckets, seconds.
const DURATIONS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// Upper bounds of buckets that count records.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATIONS)?
        .set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), &COUNTS)?;
    Ok(builder.build_recorder())
}

/// The handles of one node. Share it by `Rc` or `Arc`.
#[derive(Debug)]
pub struct Metrics {
    recorder: PrometheusRecorder,
    requests: [RequestMetrics; Family::ALL.len()],
    /// The pages.
    pub http: HttpMetrics,
    /// Coordinated transactions.
    pub transactions: TransactionMetrics,
    /// Locks.
    pub locks: LockMetrics,
    /// Queues.
    pub queues: QueueMetrics,
    /// The vote log.
    pub log: LogMetrics,
    /// The storage engine.
    pub engine: EngineMetrics,
    /// Gossip.
    pub gossip: GossipMetrics,
    /// Recoveries and repairs.
    pub recovery: RecoveryMetrics,
    /// Key-value clients.
    pub clients: ClientMetrics,
    /// SQL clients.
    pub sql: SqlMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All handles at zero.
    #[must_use]
    pub fn new() -> Self {
        let recorder = recorder().expect("only empty lists of buckets are refused");
        let family = |family: Family| [Label::from_static_parts("family", family.label())];
        Self {
            requests: Family::ALL.map(|of| RequestMetrics::new(&recorder, &family(of))),
            http: HttpMetrics::new(&recorder, &[]),
            transactions: TransactionMetrics::new(&recorder, &[]),
            locks: LockMetrics::new(&recorder, &[]),
            queues: QueueMetrics::new(&recorder, &[]),
            log: LogMetrics::new(&recorder, &[]),
            engine: EngineMetrics::new(&recorder, &[]),
            gossip: GossipMetrics::new(&recorder, &[]),
            recovery: RecoveryMetrics::new(&recorder, &[]),
            clients: ClientMetrics::new(&recorder, &[]),
            sql: SqlMetrics::new(&recorder, &[]),
            recorder,
        }
    }

    /// The requests of a family.
    #[must_use]
    pub const fn requests(&self, family: Family) -> &RequestMetrics {
        &self.requests[family as usize]
    }

    /// The connections to a peer; make it once per peer and keep it.
    #[must_use]
    pub fn peer(&self, name: &str) -> PeerMetrics {
        PeerMetrics::new(&self.recorder, &[Label::new("peer", name.to_owned())])
    }

    /// What renders the metrics page. Its `run_upkeep` must be called every few seconds, since recorded
    /// times pile up in between; the HTTP server does that.
    #[must_use]
    pub fn page(&self) -> PrometheusHandle {
        self.recorder.handle()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_described_name_is_on_the_page_from_the_start() {
        let metrics = Metrics::new();
        let _peer = metrics.peer("n2");
        let page = metrics.page();
        page.run_upkeep();
        metrics.log.sync.record(Duration::from_micros(90));
        let text = page.render();
        for description in DESCRIPTIONS {
            let Description { name, help, .. } = description;
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name} is not described");
        }
        assert!(text.contains(r#"annulus_requests_total{family="multi_write"} 0"#), "{text}");
        assert!(text.contains(r#"annulus_log_sync_seconds_bucket{le="0.0001"} 1"#), "{text}");
        assert!(text.contains(r#"annulus_peer_sent_bytes_total{peer="n2"} 0"#), "{text}");
    }

    /// The table in docs/user/monitoring.md. `UPDATE_DOCS=1 cargo test` writes it anew.
    #[test]
    fn the_user_guide_lists_every_metric() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/user/monitoring.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let marker = "<!-- Generated by UPDATE_DOCS=1 cargo test: do not edit below. -->\n";
        let (before, table) = page.split_once(marker).expect("the page has the marker");
        let mut rows = vec!["\n| metric | meaning |\n| --- | --- |\n".to_owned()];
        rows.extend(DESCRIPTIONS.iter().map(|metric| format!("| `{}` | {} |\n", metric.name, metric.help)));
        rows.dedup();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{before}{marker}{}", rows.concat())).unwrap();
        } else {
            assert_eq!(table, rows.concat(), "run UPDATE_DOCS=1 cargo test the_user_guide");
        }
        let known = |name: &str| DESCRIPTIONS.iter().any(|metric| metric.name == name);
        let named = before.split('`').filter_map(|word| word.strip_prefix("annulus_")?.split('{').next());
        for name in named.map(|rest| format!("annulus_{rest}")) {
            assert!(known(&name), "there is no {name}");
        }
    }

    #[test]
    fn families_are_in_the_order_of_their_numbers() {
        for (n, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(family as usize, n);
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for Description { name, unit, .. } in DESCRIPTIONS {
            assert!(name.starts_with("annulus_"), "{name}");
            assert_eq!(name.contains("_bytes"), *unit == Unit::Bytes, "{name}");
            assert_eq!(name.contains("_seconds"), *unit == Unit::Seconds, "{name}");
        }
    }
}
