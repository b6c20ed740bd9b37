//! Listening on a configured address, with errors that name the setting.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::settings::Setting;

/// Why a port cannot be listened on. Nothing was changed; the node cannot start like this.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting}): {}, or choose another address with --{flag}", reason(source))]
pub struct ListenError {
    setting: &'static str,
    flag: String,
    address: SocketAddr,
    source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process uses this port; stop it".to_owned(),
        io::ErrorKind::AddrNotAvailable => "no network interface of this machine has this address; add it".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need special rights; get them".to_owned(),
        _ => format!("{error}; put that right"),
    }
}

/// Listens on the address of a setting.
///
/// # Errors
/// [`ListenError`], ready to be shown to whoever starts the node.
pub async fn listen(setting: &'static Setting, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let failed = |source| ListenError { setting: setting.key, flag: setting.flag(), address, source };
    TcpListener::bind(address).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_used_port_is_named_with_its_setting() {
        let setting = Setting::find("listen_kv").unwrap();
        let first = listen(setting, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(setting, address).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on {address} (listen_kv): another process uses this port; stop it, or choose another address with --listen-kv"
            )
        );
    }
}
