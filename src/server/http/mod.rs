//! Health, readiness, metrics and status over HTTP.
//!
//! | path | answer |
//! | --- | --- |
//! | `/health` | 200 while the process lives |
//! | `/ready` | 200 when the node can serve clients, else 503 with the reason |
//! | `/metrics` | Prometheus text |
//! | `/status` | a [`status::Status`] as JSON |
//!
//! Promises: the number of connections, their lifetime, the size of a request's head and the time it may
//! take are bounded; a request's body is never read.

pub mod status;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{HttpMetrics, Metrics};
use status::{StatusError, StatusHandle};

/// Longest time for a request's head to arrive, and for an idle connection to wait for the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest life of a connection, so that a client that never reads cannot keep its place.
const LIFETIME: Duration = Duration::from_secs(60);
/// Largest head of a request, bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How often recorded times are moved from their queues into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Pause after a failed accept, for example when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the pages are made of.
#[derive(Clone, Debug)]
pub struct Pages {
    status: StatusHandle,
    metrics: PrometheusHandle,
    requests: HttpMetrics,
}

impl Pages {
    /// Pages of the node that `status` asks, with everything that `metrics` counts.
    #[must_use]
    pub fn new(status: StatusHandle, metrics: &Metrics) -> Self {
        Self { status, metrics: metrics.page(), requests: metrics.http.clone() }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/status", get(status_page))
            .layer(from_fn_with_state(self.requests.clone(), measure))
            .with_state(self)
    }
}

/// Counts and times a request.
async fn measure(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    metrics.answered.increment(1);
    metrics.duration.record(begun.elapsed());
    response
}

fn text(code: StatusCode, text: impl std::fmt::Display) -> Response {
    (code, format!("{text}\n")).into_response()
}

impl IntoResponse for StatusError {
    fn into_response(self) -> Response {
        text(StatusCode::SERVICE_UNAVAILABLE, self)
    }
}

/// Does not ask the node, which may be busy replaying its log: a supervisor must not kill it for that.
async fn health() -> Response {
    text(StatusCode::OK, "alive")
}

async fn ready(State(pages): State<Pages>) -> Result<Response, StatusError> {
    Ok(match pages.status.ask().await?.node.not_ready {
        None => text(StatusCode::OK, "ready"),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format_args!("not ready: {reason}")),
    })
}

async fn metrics(State(pages): State<Pages>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render()).into_response()
}

async fn status_page(State(pages): State<Pages>) -> Result<Response, StatusError> {
    let status = pages.status.ask().await?;
    Ok(match serde_json::to_vec(&status) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error),
    })
}

/// Serves until told to stop; connections under way are then cut.
pub async fn serve(listener: TcpListener, pages: Pages, max_clients: usize, stop: CancellationToken) {
    let metrics = pages.metrics.clone();
    let router = pages.router();
    let places = Arc::new(Semaphore::new(max_clients));
    let mut connections = JoinSet::new();
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = upkeep.tick() => metrics.run_upkeep(),
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, place)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        serve_connection(stream, router).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection; trying on");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The next connection, once there is a place for it. Until then it waits in the listener's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(LIFETIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "HTTP connection ended"),
        Err(_) => tracing::debug!("HTTP connection cut after {LIFETIME:?}"),
    }
}

#[cfg(test)]
mod tests;
