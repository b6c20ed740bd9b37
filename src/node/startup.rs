//! Starting and stopping a node.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_base::{Incarnation, NamespaceId, NodeId};
use annulus_gossip::facts::Facts;
use annulus_ring::Topology;
use annulus_ring::bootstrap::Saved;
use annulus_txn::interface::Database;
use annulus_txn::member::{self, Member};
use annulus_txn::token::Tokens;
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

use super::clock::wall;
use super::database::NodeDatabase;
use super::driver::{Driver, SyncState};
use super::sql::SqlSessions;
use super::status::{Phase, Reporter};
use super::{NodeError, counted, housekeeping, open_files};
use crate::config::{Config, Setting, listen};
use crate::hooks::Hooks;
use crate::metrics::{LogMetrics, Metrics};
use crate::net::bootstrap::Founder;
use crate::net::gossip::{Change, Gossip, GossipConfig};
use crate::net::handshake;
use crate::net::peers::{Limits, Peers, PeersConfig};
use crate::server::http::status::StatusHandle;
use crate::server::pg::shared::WallClock;
use crate::server::{http, pg, resp};
use crate::storage::checkpoint::Checkpoints;
use crate::storage::data_dir::DataDir;
use crate::storage::disk;
use crate::storage::engine::EngineKind;
use crate::storage::files::Directory;
use crate::storage::log::{Log, LogOptions, OnSynced, Synced};
use crate::storage::meta::Meta;
use crate::storage::records;
use crate::storage::versions::VersionStore;

/// Above this share of its disk a node that failed says that the disk is full.
const NO_ROOM: f64 = 0.99;
/// How long what is queued for peers may take to leave at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs a node until told to stop.
///
/// # Errors
/// [`NodeError`], ready to be shown to whoever starts the node.
pub async fn run(config: Config, hooks: Hooks, stop: CancellationToken) -> Result<(), NodeError> {
    let clock = hooks.clock();
    spawn_local(hooks.clone().follow(clock.clone()));
    let data = DataDir::open(&config.data_dir)?;
    let meta = Arc::new(Meta::open(hooks.directory(data.meta()?), data.has_data()?)?);
    let peer_port = open_port("listen_peer", config.listen_peer).await?;
    let kv_port = open_port("listen_kv", config.listen_kv).await?;
    let sql_port = open_port("listen_sql", config.listen_sql).await?;
    let http_port = open_port("listen_http", config.listen_http).await?;

    let metrics = Rc::new(Metrics::new());
    let (status, questions) = StatusHandle::new();
    let reporter = Reporter::new(&config, Rc::clone(&metrics));
    spawn_local(reporter.clone().answer(questions));
    let pages = http::Pages::new(status, &metrics);
    spawn_local(http::serve(http_port, pages, config.max_http_clients.count(), stop.clone()));

    let Some(founded) = stop.run_until_cancelled(found(&config, &meta, &peer_port)).await else { return Ok(()) };
    let Founded { founder, node, topology, incarnation } = founded?;
    reporter.set_phase(Phase::Replaying);
    let checkpoints =
        Checkpoints::open(engine_kind(&config), &data.engine_path(), config.cache_size.0, Arc::clone(&meta))?;
    let engine = checkpoints.engine();
    let counted = Arc::new(counted::Counted::new(Arc::clone(&engine), &metrics.engine));
    let mut store = VersionStore::new(counted, config.cache_size.0 / 4);
    let protocol = member::Settings { mutations: hooks.mutations, ..config.protocol() };
    let mut member = Member::new(node, incarnation, Arc::clone(&topology), protocol, random_seed());
    let sync = Arc::new(SyncState::default());
    let log =
        replay(&config, hooks.directory(data.log()?), &meta, &mut member, &mut store, on_synced(&sync, &metrics.log))?;
    member.start(clock.now(), &mut store)?;

    let peers = Peers::new(PeersConfig {
        identity: handshake::Identity { cluster: topology.cluster(), node, incarnation, epoch: topology.epoch() },
        members: topology.members().iter().map(|member| (member.id, member.peer_address.clone())).collect(),
        limits: Limits::default(),
        seed: random_seed(),
    });
    let driver = Driver::new(member, log, store, peers.clone(), clock.clone(), sync, stop.clone());
    peers.start(peer_port, Rc::new(driver.clone()), Some(founder));
    let gossip = start_gossip(&config, &topology, incarnation, &driver, &metrics).await?;
    driver.attach_gossip(gossip.clone());
    spawn_local(driver.clone().follow_syncs());
    spawn_local(driver.clone().follow_timers());
    spawn_local(driver.clone().follow_wanted_syncs());
    let (ring, own) = (Arc::clone(&topology), Rc::clone(&metrics));
    let keeper = housekeeping::Keeper::new(&config, driver.clone(), gossip.clone(), ring, checkpoints, own);
    spawn_local(keeper.clone().watch());
    spawn_local(reporter.clone().measure());

    let database = NodeDatabase::new(driver.clone(), Arc::clone(&topology), Rc::clone(&metrics));
    let wall_clock: WallClock = Rc::new(move || clock.now().wall);
    let settings = sql_config(&config, node, &topology);
    let sql_server =
        Rc::new(sql_server(&config, settings, database.clone(), Rc::clone(&wall_clock), Rc::clone(&metrics), &stop)?);
    let server = Rc::new(resp::Server::new(database, &topology, resp_config(&config), wall_clock, metrics));
    reporter.attach(&driver, &gossip, Arc::clone(&topology), engine, Rc::clone(&server));
    spawn_local(resp::sweeper::sweep(Rc::clone(&server), heads(&topology, &gossip, node), stop.clone()));
    tracing::info!(%node, %incarnation, epoch = %topology.epoch(), kv = %config.kv_address(), sql = %config.sql_address(), "serving");
    let served = async {
        tokio::join!(resp::serve(kv_port, server, stop.clone()), pg::serve(sql_port, sql_server, stop.clone()))
    };
    tokio::select! {
        _ = served => {}
        // Nothing at work will ever be answered: connections are cut, so that nobody waits.
        () = driver.failed() => {}
    }

    reporter.set_phase(Phase::Stopping);
    gossip.close();
    let done = tokio::select! {
        biased;
        // A checkpoint would wait for a log that writes no more.
        () = driver.failed() => driver.take_failure().map_or(Ok(()), Err),
        done = keeper.checkpoint() => done,
    };
    done.map_err(|failure| stopped(failure, &config.data_dir))?;
    peers.close(FAREWELL).await;
    Ok(())
}

/// The failure, with where it happened. Not every failure for lack of space says so; the disk does.
fn stopped(failure: NodeError, data_dir: &Path) -> NodeError {
    let full = || disk::usage(data_dir).is_ok_and(|usage| usage.used_ratio > NO_ROOM);
    let silent = !failure.to_string().contains("free space");
    let advice = if silent && full() { "; its disk is full: free space, then start the node again" } else { "" };
    NodeError::Stopped { data_dir: data_dir.to_owned(), failure: Box::new(failure), advice }
}

/// What is told of each sync: to the event loop, and on the metrics page.
fn on_synced(sync: &Arc<SyncState>, metrics: &LogMetrics) -> OnSynced {
    let (sync, metrics) = (Arc::clone(sync), metrics.clone());
    Box::new(move |result| {
        if let Ok(Synced { records: records @ 1.., took, .. }) = &result {
            metrics.syncs.increment(1);
            metrics.sync.record(*took);
            metrics.group.record(*records as f64);
        }
        sync.report(result);
    })
}

async fn open_port(setting: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, NodeError> {
    let setting = Setting::find(setting).expect("the name of a setting");
    Ok(listen(setting, address).await?)
}

/// A node that knows its cluster.
struct Founded {
    founder: Rc<Founder>,
    node: NodeId,
    topology: Arc<Topology>,
    incarnation: Incarnation,
}

/// Says that this node has had a vote log: it must not start without it any more.
const LOG_CREATED: &str = "log";
/// The record of the cluster's founding.
const FOUNDING: &str = "founding";

/// Forms the cluster, or finds it already formed.
async fn found(config: &Config, meta: &Arc<Meta>, port: &TcpListener) -> Result<Founded, NodeError> {
    let saved = meta.get(FOUNDING).map(|bytes| wincode::deserialize_exact::<Saved>(&bytes));
    let saved = saved.transpose().map_err(|_| NodeError::Founder)?;
    let save = {
        let meta = Arc::clone(meta);
        move |saved: &Saved| {
            let bytes = wincode::serialize(saved).map_err(io::Error::other)?;
            meta.put(FOUNDING, &bytes).map_err(io::Error::other)
        }
    };
    let founder = Founder::new(config.bootstrap(), saved, random_nonce(), Limits::default(), save)?;
    let (node, record) = founder.form(port).await?;
    let topology = Arc::new(Topology::from_record(record)?);
    let incarnation = meta.next_incarnation()?;
    Ok(Founded { founder, node, topology, incarnation })
}

/// Reads the vote log back into the member and the store; the log then takes new records.
fn replay(
    config: &Config,
    directory: Arc<dyn Directory>,
    meta: &Meta,
    member: &mut Member,
    store: &mut VersionStore,
    on_synced: OnSynced,
) -> Result<Log, NodeError> {
    let options = LogOptions { segment_bytes: config.log_segment_size.0, create: meta.get(LOG_CREATED).is_none() };
    let mut replay = Log::open(directory, options)?;
    let mut count = 0_u64;
    for record in replay.by_ref() {
        let record = record?;
        let record = records::decode(record.version, &record.payload)?;
        Driver::replay(member, record, store)?;
        count += 1;
    }
    let log = replay.start(on_synced)?;
    if meta.get(LOG_CREATED).is_none() {
        meta.put(LOG_CREATED, &[])?;
    }
    if let Some(cut) = log.cut() {
        tracing::warn!(file = %cut.file.display(), offset = cut.offset, "cut a torn tail off the vote log");
    }
    tracing::info!(records = count, "replayed the vote log");
    Ok(log)
}

async fn start_gossip(
    config: &Config,
    topology: &Topology,
    incarnation: Incarnation,
    driver: &Driver,
    metrics: &Metrics,
) -> Result<Gossip, NodeError> {
    let own = Facts {
        incarnation,
        peer_address: Some(config.peer_address().to_string()),
        kv_address: Some(config.kv_address().to_string()),
        sql_address: Some(config.sql_address().to_string()),
        http_address: Some(config.http_address().to_string()),
        zone: Some(config.zone.to_string()),
        epoch: Some(topology.epoch()),
        version: Some(crate::VERSION.clone()),
        ..Facts::default()
    };
    let suspicions = metrics.gossip.suspicions.clone();
    let changed = move |change: Change| match change {
        Change::Suspected(node) => {
            suspicions.increment(1);
            tracing::warn!(%node, "a member is silent; suspected to be down");
        }
        Change::Trusted(node) => tracing::info!(%node, "a member is back"),
        Change::Facts(_) => {}
    };
    Ok(Gossip::start(driver.peers().clone(), topology, GossipConfig::default(), own, changed).await?)
}

fn engine_kind(config: &Config) -> EngineKind {
    match config.engine {
        crate::config::Engine::Fjall => EngineKind::Fjall,
        crate::config::Engine::Sled => EngineKind::Sled,
        crate::config::Engine::Memory => EngineKind::Memory,
    }
}

fn resp_config(config: &Config) -> resp::Config {
    let chosen = resp::Config {
        request_timeout: config.request_timeout,
        max_clients: open_files::make_room(config.max_clients.count(), config.max_sql_clients.count()),
        drain_timeout: config.drain_timeout,
        ..resp::Config::default()
    };
    chosen.with_client_memory(usize::try_from(config.max_client_memory.0).unwrap_or(usize::MAX))
}

fn sql_config(config: &Config, node: NodeId, topology: &Topology) -> annulus_sql::server::Config {
    annulus_sql::server::Config {
        node: node.0,
        slow_statement: config.slow_statement,
        query_memory: usize::try_from(config.query_memory.0).unwrap_or(usize::MAX),
        tokens: topology.namespace(NamespaceId::SYSTEM).cloned().map(Tokens::new),
        ..annulus_sql::server::Config::default()
    }
}

/// The PostgreSQL server, over the SQL layer.
fn sql_server<D: Database>(
    config: &Config,
    settings: annulus_sql::server::Config,
    database: D,
    wall_clock: WallClock,
    metrics: Rc<Metrics>,
    stop: &CancellationToken,
) -> Result<pg::Server<SqlSessions<D>>, NodeError> {
    let secret = blake3::hash(&random_nonce().to_be_bytes());
    let clients = Rc::new(pg::clients::Clients::new(*secret.as_bytes()));
    let sessions = SqlSessions::new(database, settings, Rc::clone(&clients))?;
    let (background, stop) = (sessions.background(), stop.clone());
    spawn_local(async move { stop.run_until_cancelled(background).await });
    let limits = pg::Config {
        max_clients: config.max_sql_clients.count(),
        drain_timeout: config.drain_timeout,
        ..pg::Config::default()
    };
    let limits = limits.with_client_memory(usize::try_from(config.max_client_memory.0).unwrap_or(usize::MAX));
    Ok(pg::Server::new(sessions, clients, limits, wall_clock, metrics))
}

/// Tells for each partition whether this node looks after it: the first living replica does.
fn heads(
    topology: &Arc<Topology>,
    gossip: &Gossip,
    node: NodeId,
) -> impl Fn(annulus_base::PartitionId) -> bool + 'static {
    let (topology, gossip) = (Arc::clone(topology), gossip.clone());
    move |partition| {
        let ring = topology.replicas(partition).unwrap_or_default();
        ring.iter().find(|replica| **replica == node || gossip.reachable(**replica)) == Some(&node)
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(wall())
}

fn random_nonce() -> u128 {
    u128::from(random_seed()) << 64 | u128::from(random_seed())
}
