//! Strangers, liars and garbage on the peer port.

use super::*;

async fn refused(address: &str, opening: Opening) -> String {
    let (connection, reply) = introduce(address, opening).await;
    assert_eq!(rest(connection.stream).await, b"");
    match reply {
        Reply::Refused(reason) => reason,
        welcome @ Reply::Welcome { .. } => panic!("accepted: {welcome:?}"),
    }
}

/// The cluster still does what it is for.
async fn unharmed(nodes: &[Node]) {
    let before = nodes[1].inbox.from(1).len();
    until("a message", || {
        nodes[0].send(&[2], 0);
        nodes[1].inbox.from(1).len() > before
    })
    .await;
}

#[test]
fn whoever_does_not_belong_here_is_told_why() {
    run(async {
        let (nodes, addresses) = cluster(2, limits()).await;
        let address = &addresses[0];
        let stranger = Identity { cluster: ClusterId(78), ..identity(2) };
        assert!(refused(address, opening(stranger, 1)).await.contains("cluster"));
        assert!(refused(address, opening(identity(2), 7)).await.contains("n7 was expected"));
        assert!(refused(address, opening(identity(1), 1)).await.contains("own id"));
        assert!(refused(address, opening(identity(9), 1)).await.contains("not a member"));
        let old = Identity { incarnation: Incarnation(0), ..identity(2) };
        assert!(refused(address, opening(old, 1)).await.contains("older process"));
        let versions = Versions { oldest: 8, newest: 9 };
        let future = Opening::Member { versions, from: identity(2), to: NodeId(1) };
        assert!(refused(address, future).await.contains("versions 8 to 9"));
        unharmed(&nodes).await;
    });
}

#[test]
fn the_dialler_remembers_why_it_was_refused() {
    run(async {
        let (first, first_address) = listen().await;
        let (second, second_address) = listen().await;
        let _first = start(identity(1), first, &[(2, &second_address)], limits());
        let stranger = Identity { cluster: ClusterId(78), ..identity(2) };
        let second = start(stranger, second, &[(1, &first_address), (3, &first_address)], limits());
        until("refusals", || second.stats(1).last_error.is_some() && second.stats(3).last_error.is_some()).await;
        assert!(second.stats(1).last_error.unwrap().contains("cluster"));
        assert!(!second.peers.is_connected(NodeId(1)));
    });
}

#[test]
fn a_node_that_dials_itself_notices() {
    run(async {
        let (listener, address) = listen().await;
        let node = start(identity(1), listener, &[(2, &address)], limits());
        until("refusal", || node.stats(2).last_error.is_some()).await;
        assert!(node.stats(2).last_error.unwrap().contains("own id"));
    });
}

#[test]
fn garbage_is_answered_with_text_and_closed() {
    run(async {
        let (nodes, addresses) = cluster(2, limits()).await;
        for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"ANNULUT\n", b"\0"] {
            let mut stream = TcpStream::connect(&addresses[1]).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            assert_eq!(rest(stream).await, NOT_ANNULUS);
        }
        unharmed(&nodes).await;
    });
}

#[test]
fn an_opening_that_is_too_long_or_malformed_closes_the_connection() {
    run(async {
        let (nodes, addresses) = cluster(2, limits()).await;
        for frame in [&b"\x00\x00\x10\x01"[..], b"\xff\xff\xff\xff", b"\0\0\0\x04\xff\xff\xff\xff", b"\0\0\0\0"] {
            let mut stream = TcpStream::connect(&addresses[1]).await.unwrap();
            stream.write_all(b"ANNULUS\n").await.unwrap();
            stream.write_all(frame).await.unwrap();
            assert_eq!(rest(stream).await, b"");
        }
        unharmed(&nodes).await;
    });
}

#[test]
fn a_malformed_or_oversized_frame_closes_the_connection_it_came_on() {
    run(async {
        let (nodes, addresses) = cluster(2, limits()).await;
        for frame in [&b"\0\0\0\x04\xff\xff\xff\xff"[..], b"\x01\x00\x00\x01", b"\xff\xff\xff\xff"] {
            let (mut connection, reply) = introduce(&addresses[1], opening(identity(1), 2)).await;
            assert!(matches!(reply, Reply::Welcome { version: 1, .. }));
            connection.stream.write_all(frame).await.unwrap();
            assert_eq!(rest(connection.stream).await, b"");
        }
        // The frames came in node 1's name, whose own connection they displaced: it comes back by itself.
        until("back", || nodes[1].stats(1).receiving).await;
        unharmed(&nodes).await;
    });
}

#[test]
fn a_newer_connection_displaces_the_older_one() {
    run(async {
        let (listener, address) = listen().await;
        let node = start(identity(1), listener, &[(2, "127.0.0.1:1")], limits());
        let (older, _) = introduce(&address, opening(identity(2), 1)).await;
        let (mut newer, _) = introduce(&address, opening(identity(2), 1)).await;
        assert_eq!(rest(older.stream).await, b"");
        newer.send(&numbered(5)).await.unwrap();
        until("message", || node.inbox.from(2) == [5]).await;
    });
}

#[test]
fn silent_guests_are_sent_away_and_never_fill_the_house() {
    run(async {
        let few = Limits { guests: 3, ..impatient() };
        let (nodes, addresses) = cluster(2, few).await;
        let mut guests = Vec::new();
        for _ in 0..10 {
            guests.push(TcpStream::connect(&addresses[1]).await.unwrap());
        }
        unharmed(&nodes).await;
        for guest in guests {
            assert_eq!(rest(guest).await, b"");
        }
        let (_, reply) = introduce(&addresses[1], opening(identity(1), 2)).await;
        assert!(matches!(reply, Reply::Welcome { .. }));
    });
}

#[test]
fn a_slow_handshake_is_given_up_by_the_dialler_too() {
    run(async {
        let (_silent, silent_address) = listen().await;
        let (listener, _) = listen().await;
        let node = start(identity(1), listener, &[(2, &silent_address)], impatient());
        until("timeout", || node.stats(2).last_error.is_some()).await;
        assert!(node.stats(2).last_error.unwrap().contains("no answer within 200ms"));
    });
}
