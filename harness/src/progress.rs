//! How far a run is: a bar on a terminal, plain lines anywhere else. On standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Shows whoever started the run what is happening.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    step: u64,
    steps: u64,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl Progress {
    /// For a run of `steps` measurements.
    #[must_use]
    pub fn on_stderr(steps: u64) -> Self {
        let shown = match std::io::stderr().is_terminal() {
            true => Shown::Bar(bar(steps)),
            false => Shown::Lines,
        };
        Self { shown, step: 0, steps }
    }

    /// One that shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { shown: Shown::Nothing, step: 0, steps: 0 }
    }

    /// The next measurement begins.
    pub fn begin(&mut self, label: &str) {
        self.step += 1;
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_position(self.step - 1);
                bar.set_message(label.to_owned());
            }
            Shown::Lines => write_line(&format!("[{}/{}] {label}", self.step, self.steps)),
            Shown::Nothing => {}
        }
    }

    /// Measurements that are passed over.
    pub fn pass_over(&mut self, steps: u64) {
        self.step += steps;
    }

    /// Something worth a line of its own.
    pub fn say(&mut self, line: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| write_line(line)),
            Shown::Lines => write_line(line),
            Shown::Nothing => {}
        }
    }

    /// Takes the bar off the terminal.
    pub fn finish(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(steps: u64) -> ProgressBar {
    const REDRAWS_PER_S: u8 = 10;
    let bar = ProgressBar::with_draw_target(
        Some(steps),
        ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S),
    );
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed}  {msg}")
        .expect("the template above is one");
    bar.set_style(style);
    bar
}

fn write_line(line: &str) {
    // If nobody can see it, nothing is lost: the results say it all.
    let _unseen = writeln!(std::io::stderr(), "{line}");
}
