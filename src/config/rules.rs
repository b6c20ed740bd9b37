//! Rules over several settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use annulus_ring::bootstrap::Bootstrap;

use super::error::Problem;
use super::settings::Config;
use super::source::{Given, Origin};
use super::value::HostPort;

struct Checker<'a> {
    config: &'a Config,
    given: &'a BTreeMap<&'static str, Given>,
    problems: &'a mut Vec<Problem>,
}

/// Checks what no single setting can know.
pub(super) fn check(config: &Config, given: &BTreeMap<&'static str, Given>, problems: &mut Vec<Problem>) {
    let mut checker = Checker { config, given, problems };
    let listeners = [
        ("listen_peer", config.listen_peer, "advertise_peer", &config.advertise_peer),
        ("listen_kv", config.listen_kv, "advertise_kv", &config.advertise_kv),
        ("listen_sql", config.listen_sql, "advertise_sql", &config.advertise_sql),
        ("listen_http", config.listen_http, "advertise_http", &config.advertise_http),
    ];
    for (listen, address, advertise, advertised) in listeners {
        checker.loopback(listen, address);
        checker.advertised(listen, address, advertise, advertised.as_ref());
    }
    checker.cluster();
    checker.join();
    checker.timeouts();
}

impl Checker<'_> {
    fn conflict(&mut self, key: &str, reason: String) {
        let origin = self.given.get(key).map_or(Origin::Default, |given| given.origin.clone());
        self.problems.push(Problem::Conflict { origin, reason });
    }

    fn loopback(&mut self, key: &str, address: SocketAddr) {
        if !self.config.insecure && !address.ip().is_loopback() {
            let reason = format!(
                "{key} = {address} can be reached from other machines, but connections are neither encrypted nor \
                 authenticated yet (transport security comes later); listen on loopback (127.0.0.1 or [::1]), or \
                 accept the risk with --insecure"
            );
            self.conflict(key, reason);
        }
    }

    fn advertised(&mut self, listen: &str, address: SocketAddr, advertise: &str, advertised: Option<&HostPort>) {
        if address.ip().is_unspecified() && advertised.is_none() {
            let reason = format!(
                "{listen} = {address} listens on all addresses, so others must be told which one to use: \
                 set {advertise} to a host and port that reaches this node"
            );
            self.conflict(listen, reason);
        }
    }

    /// What can never become a cluster is refused before the node waits for one.
    fn cluster(&mut self) {
        if let Err(error) = Bootstrap::start(self.config.bootstrap(), None, 0) {
            self.conflict("initial_members", error.to_string());
        }
    }

    fn join(&mut self) {
        if !self.config.join.is_empty() {
            let reason = "joining a running cluster is not possible yet (it is kept for the elastic ring); form \
                          a cluster with initial_members";
            self.conflict("join", reason.to_owned());
        }
    }

    /// A request must live long enough to recover the transaction that holds it up.
    fn timeouts(&mut self) {
        let (lock, request) = (self.config.lock_timeout, self.config.request_timeout);
        if lock > request {
            let reason = "lock_timeout is longer than request_timeout, so a request that is held up by a dead \
                          transaction always fails; make lock_timeout the shorter one";
            self.conflict("lock_timeout", reason.to_owned());
        }
    }
}
