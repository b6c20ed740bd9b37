//! Which process has the other end of a connection on loopback: what tells our network who speaks, without
//! knowing the protocol. Linux only, from `/proc`.

use std::fs;
use std::path::Path;

/// The process among `candidates` that connected from `local` to `remote` (ports on 127.0.0.1).
pub fn of(local: u16, remote: u16, candidates: impl IntoIterator<Item = u32>) -> Option<u32> {
    let inode = inode(&fs::read_to_string("/proc/net/tcp").ok()?, local, remote)?;
    let socket = format!("socket:[{inode}]");
    candidates.into_iter().find(|process| has_open(*process, &socket))
}

/// The inode of a connection in the kernel's table of them.
fn inode(table: &str, local: u16, remote: u16) -> Option<u64> {
    let (local, remote) = (format!("0100007F:{local:04X}"), format!("0100007F:{remote:04X}"));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1) == Some(&local.as_str()) && fields.get(2) == Some(&remote.as_str());
        fields.get(9).filter(|_| is_it)?.parse().ok()
    })
}

fn has_open(process: u32, socket: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target == Path::new(socket))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_owner_of_a_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let local = stream.local_addr().unwrap().port();
        let me = std::process::id();
        assert_eq!(of(local, address.port(), [1, me]), Some(me));
        assert_eq!(of(local, address.port(), []), None);
        assert_eq!(of(address.port(), 1, [me]), None, "there is no such connection");
    }
}
