use std::sync::Arc;

use annulus_base::Incarnation;
use annulus_base::rng::Rng;
use annulus_gossip::facts::Facts;
use annulus_ring::ClusterId;
use chitchat::Serializable;
use tokio::sync::Notify;
use tokio::sync::mpsc::channel;

use super::*;
use crate::net::gossip::engine::{Engine, Setup};
use crate::net::testing::run;

const MEMORY: Duration = Duration::from_secs(240);

fn life(incarnation: u32) -> Life {
    Life::first(Incarnation(incarnation))
}

fn screen() -> Screen {
    Screen::new(NodeId(1), life(5), [1, 2, 3].map(NodeId).into(), MEMORY)
}

/// A message under construction.
#[derive(Clone, Default)]
struct Draft(Vec<u8>);

impl Draft {
    fn put(mut self, part: &impl Serializable) -> Self {
        part.serialize(&mut self.0);
        self
    }

    fn id(self, node: u32, life: Life) -> Self {
        self.put(&label::of(NodeId(node), life))
    }

    /// The start of changes about a node.
    fn about(self, node: u32, life: Life) -> Self {
        self.put(&0_u8).id(node, life).put(&0_u64).put(&0_u64)
    }

    fn fact(self, key: &str, value: &str, version: u64) -> Self {
        self.put(&1_u8).put(&key.to_owned()).put(&value.to_owned()).put(&version).put(&0_u8)
    }

    /// As an acknowledgement that carries these changes.
    fn ack(self) -> Vec<u8> {
        let header = Draft::default().put(&MAGIC).put(&FORMAT).put(&2_u8).put(&2_u8).put(&(self.0.len() as u16));
        let mut message = header.0;
        message.extend(self.0);
        message.push(0);
        message
    }
}

fn syn(count: u16, digest: Draft) -> Vec<u8> {
    let mut message = Draft::default().put(&MAGIC).put(&FORMAT).put(&0_u8).put(&count).0;
    message.extend(digest.0);
    Draft(message).put(&"cluster".to_owned()).0
}

fn entry(draft: Draft, node: u32, life: Life) -> Draft {
    draft.id(node, life).put(&7_u64).put(&0_u64).put(&3_u64)
}

fn check(message: &[u8]) -> Checked<()> {
    screen().check(Instant::now(), message)
}

#[test]
fn honest_messages_pass() {
    assert_eq!(check(&syn(2, entry(entry(Draft::default(), 1, life(5)), 2, life(1)))), Ok(()));
    let old_life_of_mine = Draft::default().about(1, life(4)).fact("load", "1", 1);
    assert_eq!(check(&old_life_of_mine.about(2, life(9)).fact("load", "7", 2).ack()), Ok(()));
    assert_eq!(check(&[0x53, 0xb0, 0, 3]), Ok(()));
}

#[test]
fn what_no_honest_node_says_is_refused() {
    let about = || Draft::default().about(2, life(1));
    assert_eq!(check(&syn(1, entry(Draft::default(), 4, life(1)))), Err(BadGossip::Stranger("n4".into())));
    assert_eq!(check(&syn(1, entry(Draft::default(), 1, life(6)))), Err(BadGossip::AboutMe));
    assert_eq!(check(&Draft::default().about(1, life(5)).ack()), Err(BadGossip::AboutMe));
    assert!(matches!(check(&about().fact("load", "1", u64::MAX).ack()), Err(BadGossip::Impossible(_))));
    assert!(matches!(check(&about().fact("\u{e9}", "1", 1).ack()), Err(BadGossip::Impossible(_))));
    assert!(matches!(check(&about().fact("", "1", 1).ack()), Err(BadGossip::Impossible(_))));
    assert!(matches!(check(&about().fact("load", &"x".repeat(513), 1).ack()), Err(BadGossip::Impossible(_))));
    assert!(matches!(check(&about().put(&2_u8).put(&5_u64).ack()), Err(BadGossip::Impossible(_))));
    assert!(matches!(check(&Draft::default().fact("load", "1", 1).ack()), Err(BadGossip::Malformed(_))));
    assert!(matches!(check(&[&syn(0, Draft::default())[..], &[0]].concat()), Err(BadGossip::Malformed(_))));
    let facts = (1..=65).fold(about(), |draft, number| draft.fact(&format!("key{number}"), "1", number));
    assert_eq!(check(&facts.ack()), Err(BadGossip::TooMany("facts")));
}

#[test]
fn a_message_that_unpacks_to_much_more_than_it_is_is_refused() {
    let block = zstd::bulk::compress(&[0; MAX_BLOCK], 3).unwrap();
    let mut message = Draft::default().put(&MAGIC).put(&FORMAT).put(&2_u8).0;
    while message.len() + block.len() < MAX_MESSAGE_LEN - 10 {
        message = Draft(message).put(&1_u8).put(&(block.len() as u16)).0;
        message.extend_from_slice(&block);
    }
    message.push(0);
    assert_eq!(check(&message), Err(BadGossip::TooLarge(MAX_UNPACKED)));
    assert_eq!(check(&vec![0; MAX_MESSAGE_LEN + 1]), Err(BadGossip::TooLarge(MAX_MESSAGE_LEN)));
}

#[test]
fn lives_are_bounded_and_forgotten_after_a_while() {
    let (mut screen, start) = (screen(), Instant::now());
    for number in 0..MAX_LIVES as u32 {
        let message = syn(1, entry(Draft::default(), 2, life(number)));
        assert_eq!(screen.check(start, &message), Ok(()));
    }
    let another = syn(1, entry(Draft::default(), 2, life(1 << 20)));
    assert_eq!(screen.check(start, &another), Err(BadGossip::TooMany("lives of nodes")));
    assert_eq!(screen.check(start, &syn(1, entry(Draft::default(), 2, life(3)))), Ok(()));
    assert_eq!(screen.check(start + MEMORY, &another), Ok(()));
}

/// Whatever passes the screen leaves the gossip library alive.
#[test]
fn mutated_messages_never_stop_the_gossip_library() {
    run(async {
        let (outgoing, mut sent) = channel(1_000);
        let others = vec![NodeId(2), NodeId(3)];
        let (healer, arrived) = (Duration::from_secs(1_000), Arc::new(Notify::new()));
        let setup = Setup { cluster: ClusterId(1), me: NodeId(1), others, healer, outgoing, arrived };
        let engine = Engine::start(&setup, life(5)).await.unwrap();
        let facts = Facts { incarnation: Incarnation(5), load: Some(1), ..Facts::default() };
        let changes = Draft::default().about(2, life(1)).fact("load", "1", 1).about(3, life(1)).fact("zone", "b", 9);
        let digest = entry(entry(Draft::default(), 1, life(5)), 2, life(1));
        let seeds = [changes.ack(), syn(2, digest)];
        let (mut rng, mut screen, mut passed) = (Rng::new(3), screen(), 0);
        for round in 0..30_000 {
            let mut message = rng.pick(&seeds).unwrap().clone();
            for _ in 0..rng.below(3) {
                let at = rng.below(message.len() as u64) as usize;
                message[at] = if rng.one_in(2) { rng.bits() as u8 } else { message[at] ^ (1 << rng.below(8)) };
            }
            if screen.check(Instant::now(), &message).is_ok() && engine.receive(NodeId(2), &message).is_ok() {
                passed += 1;
            }
            if round % 50 == 0 {
                tokio::task::yield_now().await;
                engine.tell(&Facts { load: Some(round), ..facts.clone() }).await;
                while sent.try_recv().is_ok() {}
            }
        }
        assert!(passed > 1_000, "{passed} passed");
        assert!(engine.gossip_with(NodeId(2)));
        engine.stop();
    });
}
