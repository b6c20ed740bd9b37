//! The event loop that drives the pure crates.

use tokio_util::sync::CancellationToken;

use crate::config::{Config, ListenError, Setting, listen};
use crate::metrics::Metrics;
use crate::server::http::status::{Status, StatusHandle};
use crate::server::http::{Pages, serve};

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Runs a node until told to stop.
///
/// # Errors
/// [`NodeError`], ready to be shown to whoever starts the node.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), NodeError> {
    let setting = Setting::find("listen_http").expect("a setting");
    let listener = listen(setting, config.listen_http).await?;
    let (status, mut questions) = StatusHandle::new();
    let pages = Pages { status, metrics: Metrics::new().page() };
    tokio::task::spawn_local(serve(listener, pages, config.max_http_clients.count(), stop.clone()));
    while let Some(Some(answer)) = stop.run_until_cancelled(questions.recv()).await {
        let mut status = Status::default();
        status.node.name = config.name();
        let _ = answer.send(status);
    }
    Ok(())
}
