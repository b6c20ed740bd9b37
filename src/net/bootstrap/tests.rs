use std::cell::Cell;

use annulus_base::{Epoch, Incarnation};
use annulus_ring::bootstrap::BootstrapError;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::net::handshake::{Identity, NOT_ANNULUS};
use crate::net::peers::{Handler, Peers, PeersConfig};
use crate::net::testing::{listen, run};

struct Ignore;

impl Handler for Ignore {
    fn messages(&self, _: NodeId, _: &mut Vec<annulus_replica::message::Message>) {}
    fn gossip(&self, _: NodeId, _: Bytes) {}
}

type Disk = Rc<RefCell<Option<Saved>>>;
type Formed = (NodeId, TopologyRecord);

fn settings(address: &str, members: &[String]) -> Settings {
    let (address, zone, initial_members) = (address.to_owned(), "a".to_owned(), members.to_vec());
    Settings { address, weight: 100, zone, initial_members, namespaces: Vec::new() }
}

fn founder(address: &str, members: &[String], disk: &Disk, nonce: u128) -> Rc<Founder> {
    let (saved, to) = (disk.borrow().clone(), disk.clone());
    let save = move |saved: &Saved| {
        to.replace(Some(saved.clone()));
        Ok(())
    };
    Founder::new(settings(address, members), saved, nonce, Limits::default(), save).unwrap()
}

/// Forms the cluster in the background.
fn form(founder: Rc<Founder>, listener: TcpListener) -> JoinHandle<(Formed, TcpListener)> {
    spawn_local(async move { (founder.form(&listener).await.unwrap(), listener) })
}

/// Goes on as a member, who answers those that are behind.
fn go_on((node, record): &Formed, listener: TcpListener, founder: Rc<Founder>) {
    let identity = Identity { cluster: record.cluster, node: *node, incarnation: Incarnation(1), epoch: record.epoch };
    let members = record.members.iter().map(|member| (member.id, member.peer_address.clone())).collect();
    let peers = Peers::new(PeersConfig { identity, members, limits: Limits::default(), seed: 1 });
    peers.start(listener, Rc::new(Ignore), Some(founder));
}

async fn members(count: usize) -> (Vec<TcpListener>, Vec<String>) {
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(listen().await);
    }
    // Ids are given in the order of addresses.
    members.sort_by(|one, other| one.1.cmp(&other.1));
    members.into_iter().unzip()
}

#[test]
fn three_nodes_form_one_cluster() {
    run(async {
        let (listeners, addresses) = members(3).await;
        let disks: Vec<Disk> = (0..3).map(|_| Disk::default()).collect();
        let founders = (1..).zip(addresses.iter().zip(&disks));
        let founders: Vec<_> =
            founders.map(|(nonce, (address, disk))| founder(address, &addresses, disk, nonce)).collect();
        let tasks: Vec<_> =
            founders.iter().cloned().zip(listeners).map(|(one, listener)| form(one, listener)).collect();
        let mut formed = Vec::new();
        for ((task, founder), expected) in tasks.into_iter().zip(founders).zip(1..) {
            let (result, listener) = task.await.unwrap();
            assert_eq!(result.0, NodeId(expected));
            go_on(&result, listener, founder);
            formed.push(result.1);
        }
        assert!(formed.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(formed[0].epoch, Epoch(1));
        assert!(disks.iter().all(|disk| disk.borrow().as_ref().is_some_and(|saved| saved.decided)));
    });
}

#[test]
fn a_single_node_forms_its_own_cluster_and_remembers_it() {
    run(async {
        let (listener, address) = listen().await;
        let (disk, members) = (Disk::default(), vec![address.clone()]);
        let first = founder(&address, &members, &disk, 1).form(&listener).await.unwrap();
        let again = founder(&address, &members, &disk, 2).form(&listener).await.unwrap();
        assert_eq!(first, again);
    });
}

#[test]
fn a_node_that_is_behind_is_answered_by_one_that_has_gone_on() {
    run(async {
        let (mut listeners, addresses) = members(2).await;
        let disks = [Disk::default(), Disk::default()];
        let (second, first) = (listeners.pop().unwrap(), listeners.pop().unwrap());
        let founders: Vec<_> =
            (0..2).map(|at| founder(&addresses[at], &addresses, &disks[at], at as u128 + 1)).collect();
        let one = form(founders[0].clone(), first);
        let two = form(founders[1].clone(), second);
        let (formed, listener) = one.await.unwrap();
        go_on(&formed, listener, founders[0].clone());
        // The second node comes back with what it knew before it learned of the decision.
        let (_, second) = two.await.unwrap();
        let confirmed = disks[1].borrow().clone().map(|saved| Saved { decided: false, ..saved });
        let behind = founder(&addresses[1], &addresses, &Rc::new(RefCell::new(confirmed)), 9);
        assert_eq!(behind.form(&second).await.unwrap(), (NodeId(2), formed.1));
    });
}

#[test]
fn members_and_garbage_are_turned_away_while_the_cluster_is_forming() {
    run(async {
        let (mut listeners, addresses) = members(2).await;
        let disk = Disk::default();
        let waiting = form(founder(&addresses[0], &addresses, &disk, 1), listeners.remove(0));
        let mut stranger = TcpStream::connect(&addresses[0]).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        stranger.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, NOT_ANNULUS);
        let mut member = Connection::new(TcpStream::connect(&addresses[0]).await.unwrap()).unwrap();
        let from = Identity {
            cluster: annulus_ring::ClusterId(1),
            node: NodeId(2),
            incarnation: Incarnation(1),
            epoch: Epoch(1),
        };
        let reply = member.open(&Opening::Member { versions: VERSIONS, from, to: NodeId(1) }).await.unwrap();
        assert!(matches!(reply, Reply::Refused(reason) if reason.contains("forming")));
        assert!(!waiting.is_finished());
        waiting.abort();
    });
}

#[test]
fn nothing_is_said_by_a_node_that_cannot_save() {
    run(async {
        let (listeners, addresses) = members(2).await;
        let saves = Rc::new(Cell::new(0));
        let counted = saves.clone();
        let full = move |_: &Saved| {
            counted.set(counted.get() + 1);
            Err(io::Error::other("the disk is full"))
        };
        let founder = Founder::new(settings(&addresses[0], &addresses), None, 1, Limits::default(), full).unwrap();
        let error = founder.form(&listeners[0]).await.unwrap_err();
        assert!(error.to_string().contains("the disk is full"));
        assert_eq!(saves.get(), 1);
        founder.step(Input::Tick);
        assert!(founder.under_way.borrow().is_empty());
    });
}

#[test]
fn impossible_settings_are_refused_at_once() {
    let members = ["a:1".to_owned(), "b:1".to_owned()];
    let result = Founder::new(settings("c:1", &members), None, 1, Limits::default(), |_| Ok(()));
    assert!(matches!(result.err(), Some(FoundingError::Settings(BootstrapError::NotAMember(_)))));
}
