//! `annulus start`: runs a node until SIGTERM or SIGINT.

use std::io;
use std::path::PathBuf;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Outcome;
use super::flags::SettingFlags;
use crate::config::{Config, LogFormat};
use crate::hooks::Hooks;
use crate::node;

/// Arguments of `annulus start`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Stops the node when its standard input ends: so it cannot outlive the program that started it.
    #[arg(long, hide = true)]
    stop_with_parent: bool,
    /// Test hooks: the node does what files in this directory say. Never for data that matters.
    #[arg(long, hide = true, value_name = "DIR")]
    test_hooks: Option<PathBuf>,
    /// Takes a rule of the protocol out, in a build with the feature `mutations`.
    #[arg(long, hide = true, value_name = "NAME")]
    test_mutation: Option<String>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    let config = arguments.settings.load()?.config;
    write_logs(&config);
    let hooks = Hooks::new(arguments.test_hooks.clone(), arguments.test_mutation.as_deref())?;
    stop_at_panics();
    let stop = CancellationToken::new();
    if arguments.stop_with_parent {
        watch_parent(stop.clone());
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        tokio::task::spawn_local(watch_signals(stop.clone())?);
        tracing::info!(version = crate::VERSION.as_str(), name = config.name(), "starting");
        if config.insecure {
            tracing::warn!("insecure: connections are neither encrypted nor authenticated");
        }
        node::run(config, hooks, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

fn write_logs(config: &Config) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let filter = config.log_level.filter();
    match config.log_format {
        LogFormat::Text => tracing_subscriber::registry().with(lines.with_filter(filter)).init(),
        LogFormat::Json => tracing_subscriber::registry().with(lines.json().with_filter(filter)).init(),
    }
}

/// A broken invariant must end the node: a task that died alone would leave it half alive.
fn stop_at_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

fn watch_parent(stop: CancellationToken) {
    thread::spawn(move || {
        // What is read does not matter, only that it ends.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        stop.cancel();
    });
}

/// The first signal stops the node in order, the second one at once.
fn watch_signals(stop: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        for urgent in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if urgent {
                tracing::warn!("second signal: ending at once");
                std::process::exit(1);
            }
            tracing::info!("stopping; a second signal ends the node at once");
            stop.cancel();
        }
    })
}
