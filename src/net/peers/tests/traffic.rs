//! Delivery, order, reconnection, bounds.

use super::*;

#[test]
fn messages_arrive_in_order_and_in_batches() {
    run(async {
        let (nodes, _) = cluster(3, limits()).await;
        let count = 20_000;
        for number in 0..count {
            for (node, others) in nodes.iter().zip([[2, 3], [1, 3], [1, 2]]) {
                node.send(&others, number);
            }
            if number % 1_000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let expected: Vec<u64> = (0..count).collect();
        for (node, others) in nodes.iter().zip([[2, 3], [1, 3], [1, 2]]) {
            for other in others {
                until("all messages", || node.inbox.from(other).len() == expected.len()).await;
                assert_eq!(node.inbox.from(other), expected);
            }
            assert!(node.inbox.batches.get() < count as usize / 4, "{} batches", node.inbox.batches.get());
        }
        let stats = nodes[0].stats(2);
        assert_eq!((stats.dropped_frames, stats.queued_bytes), (0, 0));
        assert!(stats.sent_frames >= count && stats.received_frames >= count);
        assert_eq!(stats.incarnation, Some(Incarnation(1)));
    });
}

#[test]
fn gossip_and_pings_travel_the_same_way() {
    run(async {
        let quick = Limits { ping: Duration::from_millis(5), ..limits() };
        let (nodes, _) = cluster(2, quick).await;
        let gossip = Bytes::from_static(b"news");
        nodes[0].peers.send(&[NodeId(2)], &Envelope::Gossip(gossip.clone())).unwrap();
        until("gossip", || *nodes[1].inbox.gossip.borrow() == [(NodeId(1), gossip.clone())]).await;
        until("round trip", || nodes[0].stats(2).round_trip.is_some()).await;
        assert!(nodes[0].peers.last_heard(NodeId(2)).is_some());
    });
}

#[test]
fn a_restarted_peer_is_found_again() {
    run(async {
        let (mut nodes, addresses) = cluster(2, limits()).await;
        let second = nodes.pop().unwrap();
        nodes[0].send(&[2], 1);
        until("first message", || second.inbox.from(1) == [1]).await;
        second.peers.close(Duration::ZERO).await;
        until("the end noticed", || !nodes[0].peers.is_connected(NodeId(2))).await;
        nodes[0].send(&[2], 2);
        assert_eq!(nodes[0].stats(2).dropped_frames, 1);

        let listener = TcpListener::bind(&addresses[1]).await.unwrap();
        let reborn = Identity { incarnation: Incarnation(2), ..identity(2) };
        let second = start(reborn, listener, &[(1, &addresses[0])], limits());
        nodes[0].connected(2).await;
        second.connected(1).await;
        nodes[0].send(&[2], 3);
        second.send(&[1], 4);
        until("messages both ways", || second.inbox.from(1) == [3] && nodes[0].inbox.from(2) == [4]).await;
        assert_eq!(nodes[0].stats(2).incarnation, Some(Incarnation(2)));
        assert_eq!(nodes[0].stats(2).connects, 2);
    });
}

/// A peer that greets and then takes nothing.
async fn deaf_peer(listener: &TcpListener) -> Connection {
    let mut connection = Connection::new(listener.accept().await.unwrap().0).unwrap();
    connection.opening().await.unwrap();
    connection.send(&Reply::Welcome { version: 1, identity: Some(identity(2)) }).await.unwrap();
    connection
}

#[test]
fn the_queue_of_a_stalled_peer_is_bounded_and_what_does_not_fit_is_counted() {
    run(async {
        let (deaf, deaf_address) = listen().await;
        let (listener, _) = listen().await;
        let bounded = Limits { queue_bytes: 1 << 20, stall: Duration::from_secs(60), ..limits() };
        let node = start(identity(1), listener, &[(2, &deaf_address)], bounded);
        let _open = deaf_peer(&deaf).await;
        node.connected(2).await;
        let payload = Envelope::Gossip(Bytes::from(vec![0; 100_000]));
        let mut sent = 0;
        while node.stats(2).dropped_frames == 0 {
            node.peers.send(&[NodeId(2)], &payload).unwrap();
            assert!(node.stats(2).queued_bytes <= 1 << 20);
            sent += 1;
            assert!(sent < 10_000, "nothing bounds the queue");
            tokio::task::yield_now().await;
        }
        assert!(node.stats(2).connected_for.is_some());
    });
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    run(async {
        let (deaf, deaf_address) = listen().await;
        let (listener, _) = listen().await;
        let node = start(identity(1), listener, &[(2, &deaf_address)], impatient());
        let _open = deaf_peer(&deaf).await;
        node.connected(2).await;
        for _ in 0..300 {
            node.peers.send(&[NodeId(2)], &Envelope::Gossip(Bytes::from(vec![0; 100_000]))).unwrap();
        }
        until("given up", || node.stats(2).last_error.is_some()).await;
        assert_eq!(node.stats(2).queued_bytes, 0);
    });
}

#[test]
fn connections_over_which_nothing_comes_are_given_up() {
    run(async {
        let (silent, silent_address) = listen().await;
        let (listener, address) = listen().await;
        let node = start(identity(1), listener, &[(2, &silent_address)], impatient());
        // The peer takes everything and says nothing, on both connections.
        let mut taken = deaf_peer(&silent).await;
        let _draining = spawn_local(async move { while taken.fill().await.is_ok() {} });
        let (open, _) = introduce(&address, opening(identity(2), 1)).await;
        until("given up", || node.stats(2).last_error.is_some_and(|error| error.contains("nothing was heard"))).await;
        assert_eq!(rest(open.stream).await, b"");
    });
}

#[test]
fn large_messages_pass_and_too_large_ones_are_refused_at_the_sender() {
    run(async {
        let (nodes, _) = cluster(2, limits()).await;
        let large = Bytes::from(vec![9; 15 << 20]);
        nodes[0].peers.send(&[NodeId(2)], &Envelope::Gossip(large.clone())).unwrap();
        until("large message", || *nodes[1].inbox.gossip.borrow() == [(NodeId(1), large.clone())]).await;
        let error = nodes[0].peers.send(&[NodeId(2)], &Envelope::Gossip(vec![9; 17 << 20].into())).unwrap_err();
        assert!(matches!(error, CodecError::TooLarge { .. }));
        nodes[0].send(&[2], 1);
        until("the connection still works", || nodes[1].inbox.from(1) == [1]).await;
    });
}

#[test]
fn closing_sends_what_is_queued_first() {
    run(async {
        let (nodes, _) = cluster(2, limits()).await;
        for number in 0..10_000 {
            nodes[0].send(&[2], number);
        }
        nodes[0].peers.close(Duration::from_secs(10)).await;
        until("all messages", || nodes[1].inbox.from(1).len() == 10_000).await;
        until("the end", || !nodes[1].stats(1).receiving).await;
    });
}
