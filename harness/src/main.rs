//! The benchmark harness as a program: `harness run CONFIG.toml`, `harness compare A B`,
//! `harness list`.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use harness::compare;
use harness::config::{self, Config, ConfigError};
use harness::drivers::DriverKind;
use harness::explain::{self, Limits};
use harness::init::{self, InitError};
use harness::interrupt::Interrupt;
use harness::live::{Live, LivePlan};
use harness::plan::Plan;
use harness::run::{Finished, RunError, run};
use harness::{listing, table};
use measure::ResultsDir;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes:
  0    everything ran
  1    a broker failed, or the run did
  2    the configuration or the command line is wrong
  3    delivery breach: a stream, backlog or restart that must lose nothing lost,
       duplicated, reordered or corrupted something
  5    compare: something is worse than in the baseline, by more than noise
  6    compare: nothing could be compared
  130  interrupted; nothing was written";

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_BREACH: u8 = 3;
const EXIT_INTERRUPTED: u8 = 130;

const CONFIGS_DIR: &str = "configs";
const RESULTS_DIR: &str = "results";

/// Measures message brokers, side by side and honestly
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a configuration: measure, write the results, draw the report
    #[command(after_help = EXIT_CODES)]
    Run {
        /// What to measure, e.g. configs/quickstart.toml
        config: PathBuf,
        /// Where the results go [default: results/NAME-UTCTIME]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Only say what would run, and about how long
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare two runs: what became better or worse, and what is noise
    Compare(compare::Arguments),
    /// List drivers, operations, stream shapes and configurations
    List,
    /// Print the JSON Schema of configurations, for editors
    Schema,
    /// Write a commented configuration to begin with
    Init {
        /// The file, which must not be there yet
        #[arg(default_value = "benchmark.toml")]
        file: PathBuf,
    },
    /// Say what a configuration will run, for how long, and what it needs
    Explain {
        /// What to explain, e.g. configs/quickstart.toml
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    perform(Arguments::parse().command).unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        match error.downcast_ref::<UsageError>() {
            Some(_) => ExitCode::from(EXIT_USAGE),
            None => ExitCode::from(EXIT_FAILED),
        }
    })
}

/// What whoever started the program can set right.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{}: {source}", path.display())]
    Config { path: PathBuf, source: ConfigError },
    #[error(transparent)]
    Init(#[from] InitError),
}

fn perform(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::List => tell(&listing::listing(Path::new(CONFIGS_DIR))),
        Task::Schema => tell(&config::schema()),
        Task::Init { file } => {
            init::write_example(&file).map_err(UsageError::Init)?;
            let path = file.display();
            tell(&format!("{path} is written; `harness run {path}` runs it as it is"))
        }
        Task::Explain { config } => {
            let config = read(&config)?;
            tell(&explain::explain(&config, &Limits::read(&config)))
        }
        Task::Run { config, dry_run: true, .. } => tell(&Plan::of(&read(&config)?).describe()),
        Task::Run { config, out, dry_run: false } => run_to_report(&read(&config)?, out),
    }
}

fn read(path: &Path) -> Result<Config, UsageError> {
    Config::read(path).map_err(|source| UsageError::Config { path: path.to_owned(), source })
}

fn run_to_report(config: &Config, out: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::on_signals().context("cannot listen to Ctrl-C")?;
    let plan = Plan::of(config);
    let live_plan = LivePlan {
        title: config.name.clone(),
        cells: plan.cells(),
        estimated_ms: plan.estimated_ms(),
    };
    let mut live = Live::on_stderr(live_plan);
    let ran = run(config, &interrupt, &mut live);
    live.finish();
    let finished = match ran {
        Ok(finished) => finished,
        Err(error @ RunError::Interrupted) => {
            complain(&error.to_string());
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
        Err(error) => return Err(error.into()),
    };
    let root = out.unwrap_or_else(|| Path::new(RESULTS_DIR).join(&finished.record.run_id));
    let results = ResultsDir::create(root)?;
    results.write(&finished.record, &finished.histograms)?;
    let rendered = plots::render(&finished.record, &finished.histograms, results.root())?;
    let ceilings = [DriverKind::BytePipe.name(), DriverKind::Disk.name()];
    tell(&table::summary(&finished.record, &ceilings))?;
    let verdict = verdict(&finished);
    tell(&rendered.report_html.display().to_string())?;
    Ok(verdict)
}

/// A breach is about the messages, and outweighs a failure to measure everything.
fn verdict(finished: &Finished) -> ExitCode {
    for failure in &finished.failures {
        complain(&format!("failed: {failure}"));
    }
    for breach in &finished.breaches {
        complain(&format!("delivery breach: {breach}"));
    }
    match (finished.breaches.is_empty(), finished.failures.is_empty()) {
        (false, _) => ExitCode::from(EXIT_BREACH),
        (true, false) => ExitCode::from(EXIT_FAILED),
        (true, true) => ExitCode::SUCCESS,
    }
}

fn tell(text: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", text.trim_end())
        .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn complain(text: &str) {
    // If nobody can see it, the exit code still says it.
    let _unseen = writeln!(std::io::stderr(), "{text}");
}
