//! `annulus health`: for supervisors of containers, which ask by running a program.

use super::{Outcome, http, print};
use crate::config::Setting;

/// Arguments of `annulus health`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's HTTP address, as HOST:PORT. If not given: that of the environment's or default `listen_http`.
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
}

/// Runs the command: it succeeds if the node can serve clients.
pub fn run(arguments: &Arguments) -> Outcome {
    let setting = Setting::find("listen_http").expect("the name of a setting");
    let configured = || std::env::var(setting.variable()).unwrap_or_else(|_| setting.default.to_owned());
    let address = arguments.http.clone().unwrap_or_else(configured);
    match http::get(&address, "/ready")? {
        (200, _) => print("ready\n"),
        (_, reason) => Err(reason.trim().into()),
    }
}
