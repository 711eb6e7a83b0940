//! SIGTERM and SIGINT: the first asks the broker to stop, the second ends it. SIGXFSZ: passed over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::Stop;

/// Shells report a process that a signal ended as this plus the signal's number:
/// 130 for SIGINT, 143 for SIGTERM.
const EXIT_CODE_BASE: i32 = 128;

/// Makes the first SIGTERM or SIGINT request `stop`, and any further one end the
/// process at once with 130 or 143.
///
/// # Errors
/// When the system refuses a signal handler or the thread that waits for signals.
pub(crate) fn request_stop_on_signals(stop: Stop) -> io::Result<()> {
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // Handlers run in the order of their registration: the one that ends the
        // process comes first, so it finds the flag set by an earlier signal only.
        // It runs in the signal's own context and so works even if every thread hangs.
        let exit_code = EXIT_CODE_BASE + signal;
        flag::register_conditional_shutdown(signal, exit_code, Arc::clone(&signalled))?;
        flag::register(signal, Arc::clone(&signalled))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let signal = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
            tracing::info!(signal, "stopping; a second signal ends the broker at once");
            stop.request();
        }
    })?;
    Ok(())
}

/// Has a write beyond the limit on the size of files (`ulimit -f`) fail, as one to a full disk
/// does. By default it ends the process.
///
/// # Errors
/// When the system refuses a signal handler.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}
