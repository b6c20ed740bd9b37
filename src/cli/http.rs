//! Asking a node over HTTP.

use std::time::Duration;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that is read, bytes.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from http://{address}{path}: {source}; is the node running, and is this its HTTP address?")]
pub struct HttpError {
    address: String,
    path: &'static str,
    source: Box<ureq::Error>,
}

/// The status code and text of a page.
///
/// # Errors
/// If the node cannot be reached or does not speak HTTP.
pub fn get(address: &str, path: &'static str) -> Result<(u16, String), HttpError> {
    let page = || {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        let mut answer = config.new_agent().get(format!("http://{address}{path}")).call()?;
        let text = answer.body_mut().with_config().limit(MAX_BODY).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    };
    page().map_err(|source| HttpError { address: address.to_owned(), path, source: Box::new(source) })
}
