//! What is found on a disk: damaged, of another version, or written by hand.

use annulus_ring::bootstrap::Saved;
use annulus_ring::{Topology, TopologyRecord};
use bytes::Bytes;

use crate::config;
use crate::server::resp::value::Value;
use crate::storage::log::group::{self, GroupHeader, Place};
use crate::storage::versions::codec;
use crate::storage::{meta, records};

/// Where the seeds' group lies in its segment.
pub(super) const PLACE: Place = Place { salt: 7, offset: 4_096 };

/// Records of the vote log and their groups, versions and values of the engine, the node's own records. What is
/// understood must be the same after it was written again.
pub fn stored_records(bytes: &[u8]) {
    let data = Bytes::copy_from_slice(bytes);
    for version in [records::VERSION, 0, u8::MAX] {
        if let Ok(record) = records::decode(version, bytes) {
            let mut again = Vec::new();
            records::encode(&record, &mut again).expect("what was read can be written");
            assert_eq!(records::decode(records::VERSION, &again).expect("what was written can be read"), record);
        }
    }
    if let Some(mut body) = GroupHeader::parse(bytes, PLACE).and_then(|header| header.body(&data, 0)) {
        while group::take_record(&mut body).is_some() {}
    }
    let mut body = data.clone();
    while group::take_record(&mut body).is_some() {}

    let place = data.slice(..data.len().min(64));
    if let Some(located) = codec::locate(&place) {
        assert_eq!(codec::key_of(&place), located.key);
    }
    let _ = codec::decode(&place, &data.slice(place.len()..));
    if let Ok(value) = Value::decode(&data) {
        assert_eq!(value.encode(), data);
    }
    if let Ok(records) = meta::decode(bytes) {
        assert_eq!(meta::decode(&meta::encode(&records)), Ok(records));
    }
}

/// A configuration file: it is complete and valid, or every problem is told in words.
pub fn config_files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::read_text(&text) {
        Ok(loaded) => {
            let effective = loaded.effective();
            let again = config::read_text(&effective).expect("what is shown as effective is a configuration");
            assert_eq!(again.config.texts(), loaded.config.texts());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The decided topology, and what a node saves while a cluster is formed. What is valid can be placed and means the
/// same after it was written again.
pub fn topology_records(bytes: &[u8]) {
    if let Ok(record) = TopologyRecord::decode(bytes) {
        assert_eq!(TopologyRecord::decode(&record.encode()), Ok(record.clone()));
        if let Ok(topology) = Topology::from_record(record) {
            assert_eq!(Topology::decode(&topology.encode()).as_ref(), Ok(&topology));
            assert!(
                topology
                    .partitions()
                    .all(|partition| topology.replicas(partition).is_some_and(|ring| !ring.is_empty()))
            );
        }
    }
    if let Ok(saved) = wincode::deserialize_exact::<Saved>(bytes) {
        let again = wincode::serialize(&saved).expect("what was read can be written");
        assert_eq!(wincode::deserialize_exact::<Saved>(&again).ok(), Some(saved));
    }
}
