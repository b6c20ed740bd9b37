//! `annulus demo`: a small durable cluster on this machine, for trying out.
//!
//! Every node is a process of its own, so that one can be killed and the others watched. With `--dir` the
//! cluster keeps its data, ports and identity between runs.

mod child;
mod plan;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::{Outcome, http};
use crate::config::{Engine, Value as _};
use child::{Child, Exit};
use plan::{NodePlan, Plan};

/// Arguments of `annulus demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Keeps the cluster here between runs; without it, it is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many nodes: 1, or 3 to 9. 3 unless an earlier run in --dir says otherwise.
    #[arg(long, value_parser = parse_nodes)]
    nodes: Option<usize>,
    /// The storage engine: fjall, sled or memory. fjall unless an earlier run in --dir says otherwise.
    #[arg(long, value_parser = parse_engine)]
    engine: Option<Engine>,
}

fn parse_nodes(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|nodes| matches!(nodes, 1 | 3..=9)).ok_or_else(|| "allowed: 1, or 3 to 9".to_owned())
}

fn parse_engine(text: &str) -> Result<Engine, String> {
    Engine::parse(text).ok_or_else(|| format!("allowed: {}", Engine::allowed()))
}

/// How long the nodes may take to form their cluster and serve.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the nodes may take to stop before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a node that is starting.
const POLL: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    let (dir, _temporary) = match &arguments.dir {
        Some(dir) => (dir.clone(), None),
        None => {
            let temporary = tempfile::Builder::new().prefix("annulus-demo-").tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let plan = Plan::load_or_make(&dir, arguments.nodes, arguments.engine)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (exits, exited) = mpsc::unbounded_channel();
        let program = std::env::current_exe()?;
        let start = |(n, node): (usize, &NodePlan)| {
            Child::start(n, &program, plan.arguments(&dir, node), &plan.log(&dir, node), &exits)
        };
        let children = plan.nodes.iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        // The channel must end with the last child.
        drop(exits);
        let mut demo = Demo { plan: &plan, dir: &dir, children, exited };
        let outcome = demo.serve(arguments.dir.is_some()).await;
        demo.stop().await;
        outcome
    })
}

struct Demo<'a> {
    plan: &'a Plan,
    dir: &'a Path,
    children: Vec<Child>,
    exited: mpsc::UnboundedReceiver<Exit>,
}

impl Demo<'_> {
    /// Serves until a signal comes or no node is left.
    async fn serve(&mut self, kept: bool) -> Outcome {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let signalled = async {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        };
        tokio::select! {
            () = signalled => {
                println!("\nStopping; Ctrl-C once more kills the nodes.");
                Ok(())
            }
            outcome = self.start_and_watch(kept) => outcome,
        }
    }

    async fn start_and_watch(&mut self, kept: bool) -> Outcome {
        println!("Starting {} nodes in {}", self.plan.nodes.len(), self.dir.display());
        let plan = self.plan;
        tokio::select! {
            exit = self.exited.recv() => return Err(exit.map(|exit| self.death(exit)).unwrap_or_default().into()),
            ready = all_ready(plan) => ready?,
        }
        print!("{}", self.plan.welcome(self.dir, kept, &self.children.iter().map(Child::id).collect::<Vec<_>>()));
        for left in (0..self.children.len()).rev() {
            let Some(exit) = self.exited.recv().await else { break };
            println!("{}\n{left} nodes are left; start the demo again to bring this one back.", self.death(exit));
        }
        Err("no node is left".into())
    }

    /// What to tell about a node that ended by itself.
    fn death(&self, exit: Exit) -> String {
        let name = &self.plan.nodes[exit.child].name;
        let log = self.plan.log(self.dir, &self.plan.nodes[exit.child]);
        format!("{name} ended ({}). The end of its log, {}:\n{}", exit.how, log.display(), child::tail(&log))
    }

    /// Lets all nodes stop in order; those that do not, or are not given the time, are killed at the end.
    async fn stop(&mut self) {
        self.children.iter_mut().for_each(Child::stop);
        let all = async { while self.exited.recv().await.is_some() {} };
        let said = tokio::select! {
            ended = timeout(STOP_TIMEOUT, all) => match ended {
                Ok(()) => "All nodes have stopped.",
                Err(_) => "Some nodes did not stop in time and are killed.",
            },
            _ = tokio::signal::ctrl_c() => "Nodes that still run are killed.",
        };
        println!("{said}");
    }
}

/// Waits until every node says that it is ready.
async fn all_ready(plan: &Plan) -> Result<(), String> {
    let deadline = Instant::now() + START_TIMEOUT;
    for node in &plan.nodes {
        let address = format!("127.0.0.1:{}", node.http);
        loop {
            let asked = address.clone();
            let answer = tokio::task::spawn_blocking(move || http::get(&asked, "/ready")).await;
            let reason = match answer.map_err(|error| error.to_string())? {
                Ok((200, _)) => break,
                Ok((_, text)) => text.trim().to_owned(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(format!("{} is not ready after {START_TIMEOUT:?}: {reason}", node.name));
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}
