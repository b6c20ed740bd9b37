//! Asking a node over HTTP.

use std::time::Duration;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that is read, bytes.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "no answer from http://{address}{path}: {}; is the node running, and is this its HTTP address?",
    reason(source)
)]
pub struct HttpError {
    address: String,
    path: &'static str,
    source: Box<ureq::Error>,
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Protocol(_) => "what listens there does not speak HTTP".to_owned(),
        ureq::Error::Timeout(_) => format!("nothing came within {} s", PATIENCE.as_secs()),
        other => other.to_string(),
    }
}

/// The status code and text of a page.
///
/// # Errors
/// If the node cannot be reached or does not speak HTTP.
pub fn get(address: &str, path: &'static str) -> Result<(u16, String), HttpError> {
    let page = || {
        // Nodes are reached directly, whatever proxy the environment names for the web.
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None);
        let mut answer =
            config.http_status_as_error(false).build().new_agent().get(format!("http://{address}{path}")).call()?;
        let text = answer.body_mut().with_config().limit(MAX_BODY).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    };
    page().map_err(|source| HttpError { address: address.to_owned(), path, source: Box::new(source) })
}
