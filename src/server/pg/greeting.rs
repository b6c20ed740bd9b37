//! How a connection begins: encryption declined, a cancellation carried out, or a client introduced and its session
//! opened.

use std::io;

use annulus_relation::SqlError;
use annulus_relation::error::SqlState;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Server;
use super::clients::Clients;
use super::failure::Failure;
use super::protocol::backend;
use super::protocol::startup::{self, First, NEWEST_MINOR, options};
use super::session::{Sessions, Startup};
use super::wire::{Watch, Wire};

/// How often a client may ask for encryption: by TLS and by GSSAPI.
const MOST_REQUESTS: usize = 2;
/// From this minor version on secrets may be longer than four bytes.
const LONG_SECRETS: u16 = 2;

/// What a client has said.
#[derive(Debug)]
pub struct Introduction {
    minor: u16,
    parameters: Vec<(String, String)>,
}

/// Listens to the first messages. `None`: the connection was there to cancel a statement, which is done.
///
/// # Errors
/// They are wrong, or the client has gone.
pub async fn first(
    stream: &mut TcpStream,
    input: &mut BytesMut,
    clients: &Clients,
) -> Result<Option<Introduction>, Failure> {
    let mut requests = 0;
    loop {
        match startup::take(input).map_err(Failure::Fatal)? {
            None => {
                if stream.read_buf(input).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
            Some(First::Encrypt) if requests < MOST_REQUESTS => {
                requests += 1;
                stream.write_all(b"N").await?;
            }
            Some(First::Encrypt) => {
                let what = "encryption was asked for again after it was declined";
                return Err(Failure::Fatal(SqlError::new(SqlState::PROTOCOL_VIOLATION, what)));
            }
            Some(First::Cancel { id, secret }) => {
                clients.cancel(id, &secret);
                return Ok(None);
            }
            Some(First::Startup { minor, parameters }) => return Ok(Some(Introduction { minor, parameters })),
        }
    }
}

/// Opens the session of a client and greets it.
///
/// # Errors
/// There can be none.
pub async fn open<S: Sessions>(
    server: &Server<S>,
    wire: &mut Wire,
    introduction: Introduction,
) -> Result<S::Session, Failure> {
    let Introduction { minor, parameters } = introduction;
    let (extensions, parameters): (Vec<_>, Vec<_>) =
        parameters.into_iter().partition(|(name, _)| name.starts_with("_pq_."));
    if minor > NEWEST_MINOR || !extensions.is_empty() {
        let unknown: Vec<&str> = extensions.iter().map(|(name, _)| &**name).collect();
        backend::negotiate(&mut wire.output, minor.min(NEWEST_MINOR), &unknown);
    }
    let startup = introduce(wire, parameters).map_err(Failure::Fatal)?;
    let patience = wire.shared.config.startup_timeout;
    let watch = Watch::until(None);
    let opening = wire.attend(server.sessions.open(startup), &watch);
    let opened = timeout(patience, opening).await.map_err(|_| Failure::Fatal(too_late()))??;
    let session = opened.map_err(Failure::Fatal)?;
    backend::authentication_ok(&mut wire.output);
    let secret = wire.shared.clients.secret(wire.client.id);
    let secret = if minor < LONG_SECRETS { &secret[..4] } else { &secret };
    backend::key_data(&mut wire.output, wire.client.id, secret);
    Ok(session)
}

/// What the parameters mean.
fn introduce(wire: &Wire, parameters: Vec<(String, String)>) -> Result<Startup, SqlError> {
    let (mut user, mut database, mut settings) = (String::new(), String::new(), Vec::new());
    for (name, value) in parameters {
        match &*name {
            "user" => user = value,
            "database" => database = value,
            "options" => settings.extend(options(&value)?),
            "replication" if ["false", "off", "no", "0"].contains(&&*value) => {}
            "replication" => return Err(SqlError::unsupported("a replication connection")),
            _ => settings.push((name, value)),
        }
    }
    if user.is_empty() {
        let what = "no PostgreSQL user name specified in startup packet";
        return Err(SqlError::new(SqlState("28000"), what));
    }
    if database.is_empty() {
        database.clone_from(&user);
    }
    let client = wire.client.clone();
    client.user.borrow_mut().clone_from(&user);
    client.database.borrow_mut().clone_from(&database);
    if let Some((_, name)) = settings.iter().rfind(|(name, _)| name == "application_name") {
        client.application.borrow_mut().clone_from(name);
    }
    Ok(Startup { user, database, settings, client })
}

fn too_late() -> SqlError {
    let hint = "Look whether a majority of the cluster's nodes can be reached, then try again.";
    SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the session could not be opened in time").hint(hint)
}
