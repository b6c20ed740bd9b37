//! Ctrl-C, and SIGTERM: the first ends the watch in order, the second at once.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell expects of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Sets the flag at the first signal; at the second the process ends, saying what is left behind.
pub fn at_signal(flag: Arc<AtomicBool>, left_behind: String) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    // It ends with the process.
    thread::spawn(move || {
        runtime.block_on(async {
            let mut next = async || {
                tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            };
            next().await;
            flag.store(true, Ordering::Release);
            eprintln!("Ending: final reads, then everything is removed that was made. Once more leaves at once.");
            next().await;
            eprintln!("{left_behind}");
            exit(INTERRUPTED);
        });
    });
    Ok(())
}
