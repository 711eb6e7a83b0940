//! The ways a run is shown.

use super::screen::{Chosen, draw};
use super::state::State;
use super::{Saying, WRITE_INTERVAL_NS, line};
use crate::interrupt::Interrupt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, Stderr, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

const LOOK: Duration = Duration::from_nanos(WRITE_INTERVAL_NS);

/// Where lines are not renewed, one says from time to time that the run goes on.
const LINE_INTERVAL_NS: u64 = 10_000_000_000;

/// A way to show a run.
pub(super) trait Shown: Send {
    /// Waits until it is time to renew what is shown, or something is said; `None`: it is over.
    fn wait(&mut self, said: &Receiver<Saying>) -> Option<Vec<Saying>> {
        match said.recv_timeout(LOOK) {
            Ok(first) => Some(std::iter::once(first).chain(said.try_iter()).collect()),
            Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// A measurement begins, which this line names.
    fn begun(&mut self, line: &str);

    /// Shows a line that stays.
    fn say(&mut self, line: &str);

    /// Renews what does not stay.
    fn renew(&mut self, state: &State, now_ns: u64);

    /// Takes away what does not stay.
    fn close(&mut self);
}

/// Lines that stay, for files and pipes.
pub(super) struct Lines<W> {
    output: W,
    next_ns: u64,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, next_ns: LINE_INTERVAL_NS }
    }
}

impl<W: Write + Send> Shown for Lines<W> {
    fn begun(&mut self, line: &str) {
        self.say(line);
    }

    fn say(&mut self, line: &str) {
        // If nobody can see it, nothing is lost: the results say it all.
        let _unseen = writeln!(self.output, "{line}");
    }

    fn renew(&mut self, state: &State, now_ns: u64) {
        if now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + LINE_INTERVAL_NS;
        if let Some(line) = line::going_on(state, now_ns) {
            self.say(&line);
        }
    }

    fn close(&mut self) {}
}

/// One line at the foot of a terminal.
pub(super) struct RenewedLine(ProgressBar);

impl RenewedLine {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is one"));
        Self(bar)
    }
}

impl Shown for RenewedLine {
    fn begun(&mut self, _: &str) {}

    fn say(&mut self, line: &str) {
        self.0.suspend(|| {
            // If nobody can see it, nothing is lost: the results say it all.
            let _unseen = writeln!(io::stderr(), "{line}");
        });
    }

    fn renew(&mut self, state: &State, now_ns: u64) {
        self.0.set_message(line::renewed(state, now_ns));
        self.0.tick();
    }

    fn close(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A whole screen, with keys.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    interrupt: Interrupt,
    chosen: Chosen,
    /// Said once the terminal is given back.
    lines: Vec<String>,
    is_open: bool,
}

impl Screen {
    pub(super) fn open(interrupt: Interrupt) -> io::Result<Self> {
        enable_raw_mode()?;
        let opened = execute!(io::stderr(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        match opened {
            Ok(terminal) => {
                let (chosen, lines) = (Chosen::default(), Vec::new());
                Ok(Self { terminal, interrupt, chosen, lines, is_open: true })
            }
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }
}

/// As well as it can: a terminal that is gone needs nothing back.
fn give_back() {
    let _gone = execute!(io::stderr(), LeaveAlternateScreen);
    let _gone = disable_raw_mode();
}

impl Shown for Screen {
    /// Keys are what is waited for here.
    fn wait(&mut self, said: &Receiver<Saying>) -> Option<Vec<Saying>> {
        let key = match event::poll(LOOK) {
            Ok(true) => event::read().ok().and_then(|event| event.as_key_event()),
            Ok(false) => None,
            // Without keys it is only looked at; the wait must not become a spin.
            Err(_) => {
                std::thread::sleep(LOOK);
                None
            }
        };
        if key.is_some_and(|key| meant(key, &mut self.chosen) == Meant::EndRun) {
            self.interrupt.raise();
        }
        let mut sayings = Vec::new();
        loop {
            match said.try_recv() {
                Ok(saying) => sayings.push(saying),
                Err(TryRecvError::Empty) => return Some(sayings),
                Err(TryRecvError::Disconnected) if sayings.is_empty() => return None,
                Err(TryRecvError::Disconnected) => return Some(sayings),
            }
        }
    }

    fn begun(&mut self, _: &str) {}

    fn say(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn renew(&mut self, state: &State, now_ns: u64) {
        let chosen = self.chosen;
        // If nobody can see it, nothing is lost: the results say it all.
        let _unseen = match chosen.is_held && !chosen.has_help {
            true => Ok(()),
            false => self.terminal.draw(|frame| draw(frame, state, now_ns, chosen)).map(|_| ()),
        };
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            give_back();
            for line in self.lines.drain(..) {
                let _unseen = writeln!(io::stderr(), "{line}");
            }
        }
    }
}

/// A panic of the thread that shows must not leave the terminal as it is.
impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    EndRun,
    Nothing,
}

/// What a key means. In raw mode the terminal makes no signal of Ctrl-C.
fn meant(key: KeyEvent, chosen: &mut Chosen) -> Meant {
    if key.kind != KeyEventKind::Press {
        return Meant::Nothing;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Meant::EndRun,
        KeyCode::Char('q') => Meant::EndRun,
        KeyCode::Char('p') => {
            chosen.is_held = !chosen.is_held;
            Meant::Nothing
        }
        KeyCode::Char('?' | 'h') => {
            chosen.has_help = !chosen.has_help;
            Meant::Nothing
        }
        _ => Meant::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CellEnd, CellStanding, Live, LiveCell, LivePlan};
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_gets_lines_that_stay() {
        let written = Written::default();
        let plan = LivePlan { title: "demo".to_owned(), cells: 2, estimated_ms: 10 };
        let mut live = Live::shown_by(plan, Lines::new(written.clone()));
        let cell = |label: &str| LiveCell {
            broker: "b".to_owned(),
            label: label.to_owned(),
            estimated_ms: 5,
        };
        live.say("building b");
        live.begin(cell("one"));
        live.end(CellEnd { standing: CellStanding::Valid, reason: String::new() });
        live.begin(cell("two"));
        let reason = "no reason".to_owned();
        live.end(CellEnd { standing: CellStanding::Invalid, reason });
        live.finish();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "building b\n[1/2] b: one\n[2/2] b: two\n    invalid: no reason\n");
    }

    #[test]
    fn keys_end_the_run_hold_the_picture_and_show_help() {
        let mut chosen = Chosen::default();
        let mut press = |key: char, modifiers| {
            let meant = meant(KeyEvent::new(KeyCode::Char(key), modifiers), &mut chosen);
            (meant, chosen.is_held, chosen.has_help)
        };
        let plain = KeyModifiers::NONE;
        assert_eq!(press('p', plain), (Meant::Nothing, true, false));
        assert_eq!(press('h', plain), (Meant::Nothing, true, true));
        assert_eq!(press('p', plain), (Meant::Nothing, false, true));
        assert_eq!(press('c', plain), (Meant::Nothing, false, true));
        assert_eq!(press('c', KeyModifiers::CONTROL).0, Meant::EndRun);
        assert_eq!(press('q', plain).0, Meant::EndRun);
    }
}
