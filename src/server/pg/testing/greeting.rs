//! How connections begin.

use super::super::Config;
use super::wire::{Client, startup};
use super::with_server;

const USER: &[(&str, &str)] = &[("user", "u")];

#[test]
fn encryption_is_declined_and_the_client_greeted() {
    with_server(Config::default(), async |fixture| {
        let mut client = Client::silent(fixture.port).await;
        for code in [80_877_103_u32, 80_877_104] {
            client.send(&[8_u32.to_be_bytes(), code.to_be_bytes()].concat()).await;
            let mut answer = [0];
            tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut answer).await.unwrap();
            assert_eq!(&answer, b"N");
        }
        let parameters = [("user", "u"), ("application_name", "test"), ("options", "-c search_path=a\\ b --x-y=z")];
        let greeting = client.ask(&startup(0x3_0000, &parameters)).await;
        assert_eq!(
            greeting,
            "R [0, 0, 0, 0], K 8, S server_version 15.0, S application_name test, S search_path a b, S x_y z, Z I"
        );
        let known = fixture.server.shared.clients.all();
        assert_eq!((known.len(), &**known[0].user.borrow(), &**known[0].database.borrow()), (1, "u", "u"));
        assert_eq!(&**known[0].application.borrow(), "test");
        client.send(&super::wire::message(b'X', b"")).await;
        assert_eq!(client.next().await, None);
        fixture.wait_for(|fixture| fixture.server.shared.clients.count() == 0 && fixture.world.open.get() == 0).await;
    });
}

#[test]
fn versions_are_negotiated() {
    with_server(Config::default(), async |fixture| {
        let mut client = Client::silent(fixture.port).await;
        // Version 3.2 has long secrets.
        let greeting = client.ask(&startup(0x3_0002, USER)).await;
        assert!(greeting.starts_with("R [0, 0, 0, 0], K 36, "), "{greeting}");
        let mut client = Client::silent(fixture.port).await;
        let greeting = client.ask(&startup(0x3_0009, &[("user", "u"), ("_pq_.magic", "1")])).await;
        let expected = format!("v {:?}, R [0, 0, 0, 0], K 36, ", b"\0\x03\0\x02\0\0\0\x01_pq_.magic\0");
        assert!(greeting.starts_with(&expected), "{greeting}");
        let mut client = Client::silent(fixture.port).await;
        assert_eq!(
            client.ask(&startup(0x2_0000, USER)).await,
            "E FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2"
        );
    });
}

#[test]
fn who_cannot_be_served_is_told_why() {
    with_server(
        Config { startup_timeout: std::time::Duration::from_millis(100), ..Config::default() },
        async |fixture| {
            for (parameters, answer) in [
                (&[][..], "E FATAL 28000 no PostgreSQL user name specified in startup packet"),
                (&[("user", "u"), ("database", "none")], "E FATAL 3D000 database \"none\" does not exist"),
                (&[("user", "u"), ("replication", "true")], "E FATAL 0A000 a replication connection is not supported"),
                (
                    &[("user", "u"), ("options", "-x")],
                    "E FATAL 42601 invalid command-line argument for server process: -x",
                ),
                (&[("user", "u"), ("database", "stuck")], "E FATAL 57P03 the session could not be opened in time"),
            ] {
                let mut client = Client::silent(fixture.port).await;
                assert_eq!(client.ask(&startup(0x3_0000, parameters)).await, answer);
            }
            let mut client = Client::silent(fixture.port).await;
            client.send(b"GET / HTTP/1.1\r\n\r\n").await;
            assert_eq!(client.next().await.unwrap(), "E FATAL 08P01 invalid length of startup packet");
            // Somebody who says nothing is not waited for.
            let mut client = Client::silent(fixture.port).await;
            assert_eq!(client.next().await, None);
            fixture.wait_for(|fixture| fixture.server.shared.clients.count() == 0).await;
        },
    );
}
