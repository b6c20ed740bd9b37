//! All parts together, as a node uses them: the log brings back what the engine did not sync.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use annulus_base::{Incarnation, Key, NamespaceId, PartitionId, Timestamp, TxnId};
use annulus_replica::store::{Placed, Stamp, Store, Version};

use super::checkpoint::Checkpoints;
use super::data_dir::DataDir;
use super::engine::EngineKind;
use super::log::{Log, LogError, LogOptions, Position, Synced};
use super::meta::Meta;
use super::versions::VersionStore;

const KIND: u8 = 1;
const PARTITION: PartitionId = PartitionId::new(NamespaceId(1), 0);

struct Node {
    incarnation: Incarnation,
    checkpoints: Checkpoints,
    log: Log,
    synced: Receiver<Result<Synced, LogError>>,
    store: VersionStore,
    _dir: DataDir,
}

impl Node {
    fn start(path: &Path, engine: EngineKind) -> Self {
        let dir = DataDir::open(path).unwrap();
        let meta = Arc::new(Meta::open(Arc::new(dir.meta().unwrap()), dir.has_data().unwrap()).unwrap());
        let options = LogOptions { segment_bytes: 1 << 20, create: meta.is_new() };
        let checkpoints = Checkpoints::open(engine, &dir.engine_path(), 1 << 20, Arc::clone(&meta)).unwrap();
        let mut store = VersionStore::new(checkpoints.engine(), 1 << 20);
        let mut replay = Log::open(Arc::new(dir.log().unwrap()), options).unwrap();
        for record in replay.by_ref() {
            let decided: Vec<Placed> = wincode::deserialize(&record.unwrap().payload).unwrap();
            store.apply(decided).unwrap();
        }
        let (report, synced) = channel();
        let log = replay.start(Box::new(move |synced| drop(report.send(synced)))).unwrap();
        let incarnation = meta.next_incarnation().unwrap();
        Self { incarnation, checkpoints, log, synced, store, _dir: dir }
    }

    fn commit(&mut self, n: u64) {
        let stamp = Stamp { ts: Timestamp(n + 1), txn: TxnId::default() };
        let version = Version { stamp, value: Some(n.to_string().into()) };
        let decided = vec![Placed { partition: PARTITION, key: key(n), version }];
        let position = self.log.append(KIND, 1, &wincode::serialize(&decided).unwrap());
        self.log.submit();
        self.wait(position);
        self.store.apply(decided).unwrap();
    }

    fn wait(&self, position: Position) {
        while self.synced.recv().unwrap().unwrap().position < position {}
    }

    fn checkpoint(&self) {
        let checkpoint = self.log.begin_checkpoint(Vec::<(u8, u8, Vec<u8>)>::new());
        self.checkpoints.run().unwrap();
        self.wait(checkpoint.position());
        self.log.finish_checkpoint(checkpoint).unwrap();
    }

    fn holds(&mut self, n: u64) -> bool {
        let newest = self.store.read(PARTITION, &key(n), Timestamp::MAX).unwrap();
        newest.is_some_and(|version| version.value == Some(n.to_string().into()))
    }
}

fn key(n: u64) -> Key {
    Key::new(1, 0, 0, &n.to_be_bytes())
}

#[test]
fn a_node_keeps_what_it_committed() {
    for engine in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        for start in 0..4 {
            let mut node = Node::start(dir.path(), engine);
            assert_eq!(node.incarnation, Incarnation(start as u32 + 1));
            assert!((0..start * 40).all(|n| node.holds(n)), "{engine}, start {start}");
            for n in start * 40..start * 40 + 40 {
                node.commit(n);
                if n % 25 == 24 {
                    node.checkpoint();
                }
            }
        }
    }
}

#[test]
fn a_node_without_its_records_or_its_log_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::start(dir.path(), EngineKind::Fjall));
    std::fs::rename(dir.path().join("meta/records"), dir.path().join("away")).unwrap();
    let data = DataDir::open(dir.path()).unwrap();
    assert!(data.has_data().unwrap());
    assert!(Meta::open(Arc::new(data.meta().unwrap()), true).is_err());
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    let options = LogOptions { create: false, ..LogOptions::default() };
    assert!(matches!(Log::open(Arc::new(data.log().unwrap()), options).err(), Some(LogError::Missing { .. })));
}
