use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::status::{Status, StatusRequest};
use super::*;
use crate::metrics::Metrics;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(status: StatusHandle, max_clients: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Pages::new(status, &Metrics::new());
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, pages, max_clients, stop.clone()));
    Server { address, stop, task }
}

/// A node that gives the same answer to every question.
fn answering(status: Status) -> StatusHandle {
    let (handle, mut questions): (_, mpsc::Receiver<StatusRequest>) = StatusHandle::new();
    tokio::spawn(async move {
        while let Some(answer) = questions.recv().await {
            let _ = answer.send(status.clone());
        }
    });
    handle
}

async fn send(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

async fn page(address: SocketAddr, path: &str) -> (u16, String) {
    let reply = send(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn not_ready(reason: Option<&str>) -> Status {
    let mut status = Status::default();
    status.node.not_ready = reason.map(str::to_owned);
    status
}

#[tokio::test]
async fn pages_of_a_ready_node() {
    let server = start(answering(not_ready(None)), 8).await;
    assert_eq!(page(server.address, "/health").await, (200, "alive\n".to_owned()));
    assert_eq!(page(server.address, "/ready").await, (200, "ready\n".to_owned()));
    let (code, json) = page(server.address, "/status").await;
    assert_eq!((code, serde_json::from_str::<Status>(&json).unwrap()), (200, Status::default()));
    assert!(page(server.address, "/metrics").await.1.contains("# TYPE annulus_log_syncs_total counter"));
    assert_eq!(page(server.address, "/nothing").await.0, 404);
    server.stop.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_node_that_cannot_serve_says_why() {
    let server = start(answering(not_ready(Some("2 of 3 members are down"))), 8).await;
    assert_eq!(page(server.address, "/health").await.0, 200);
    assert_eq!(page(server.address, "/ready").await, (503, "not ready: 2 of 3 members are down\n".to_owned()));
}

#[tokio::test]
async fn a_stopped_event_loop_is_alive_but_not_ready() {
    let (handle, questions) = StatusHandle::new();
    drop(questions);
    let server = start(handle, 8).await;
    assert_eq!(page(server.address, "/health").await.0, 200);
    assert_eq!(page(server.address, "/ready").await, (503, "the node is stopping\n".to_owned()));
}

#[tokio::test]
async fn garbage_and_giants_hurt_nobody_else() {
    let server = start(answering(not_ready(None)), 8).await;
    let giant = format!("GET /ready HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(10 * MAX_HEAD));
    for request in [&b"\0\xff\x16\x03\x01garbage\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n\r\n", giant.as_bytes()] {
        let reply = send(server.address, request).await;
        assert!(!reply.contains("200 OK"), "{reply}");
    }
    let body = b"POST /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n";
    assert!(send(server.address, body).await.starts_with("HTTP/1.1 405"));
    assert_eq!(page(server.address, "/ready").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_give_up_their_place() {
    let server = start(answering(not_ready(None)), 1).await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(page(server.address, "/ready").await.0, 200);
}

/// A client that sends a byte now and then, so that it is never idle.
async fn drip(address: SocketAddr) -> std::time::Duration {
    let begun = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"GET /ready HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
    let mut unread = [0; 256];
    for byte in head {
        let sent = stream.write_all(&[*byte]).await;
        let second = tokio::time::sleep(std::time::Duration::from_secs(1));
        tokio::select! {
            answer = stream.read(&mut unread) => match answer {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            () = second => {}
        }
        if sent.is_err() {
            break;
        }
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_is_cut_in_time() {
    let server = start(answering(not_ready(None)), 8).await;
    let kept = drip(server.address).await;
    assert!(kept >= HEAD_TIMEOUT && kept < 2 * HEAD_TIMEOUT, "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_slow_clients_delays_others_and_does_not_shut_them_out() {
    let server = start(answering(not_ready(None)), 4).await;
    let slow: Vec<_> = (0..12).map(|_| tokio::spawn(drip(server.address))).collect();
    // All of them have come before.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(page(server.address, "/ready").await.0, 200);
    for client in slow {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn requests_are_counted() {
    let server = start(answering(not_ready(None)), 8).await;
    page(server.address, "/nothing").await;
    let (_, text) = page(server.address, "/metrics").await;
    assert!(text.contains("annulus_http_requests_total 1\n"), "{text}");
    assert!(text.contains("annulus_http_request_duration_seconds_count 1\n"), "{text}");
}
