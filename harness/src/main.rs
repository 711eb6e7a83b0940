//! The benchmark harness as a program: `harness run CONFIG.toml` and what comes before and after it.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use harness::compare::{self, Baseline, CompareError};
use harness::config::{self, Config, ConfigError};
use harness::drivers::DriverKind;
use harness::exit::{EXIT_CODES, Exit, Findings};
use harness::explain::{self, Limits};
use harness::init::{self, InitError};
use harness::interrupt::Interrupt;
use harness::live::{Live, LivePlan};
use harness::plan::Plan;
use harness::run::{Finished, RunError, run};
use harness::{junit, listing, markdown, table};
use measure::{MeasureError, ObjectiveOutcome, ObjectiveStanding, ResultsDir};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
        /// Show the whole run on the whole screen, while it goes on
        #[arg(long)]
        tui: bool,
        /// Also write what was found as JUnit XML, for systems that show tests
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// Also write what was found as Markdown, for the summary of a job
        #[arg(long, value_name = "FILE")]
        markdown: Option<PathBuf>,
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
            Some(_) => Exit::Usage.into(),
            None => Exit::Failed.into(),
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
    #[error(transparent)]
    Compare(CompareError),
    #[error("baseline: {0}")]
    Baseline(MeasureError),
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
        Task::Compare(arguments) => {
            let code = compare::carry_out(&arguments).map_err(UsageError::Compare)?;
            Ok(ExitCode::from(code))
        }
        Task::Run { config, dry_run: true, .. } => tell(&Plan::of(&read(&config)?).describe()),
        Task::Run { config, out, tui, junit, markdown, .. } => {
            run_to_report(&read(&config)?, &Output { out, tui, junit, markdown })
        }
    }
}

fn read(path: &Path) -> Result<Config, UsageError> {
    Config::read(path).map_err(|source| UsageError::Config { path: path.to_owned(), source })
}

/// Where what was found goes.
struct Output {
    out: Option<PathBuf>,
    tui: bool,
    junit: Option<PathBuf>,
    markdown: Option<PathBuf>,
}

impl Output {
    fn live(&self, config: &Config, interrupt: &Interrupt) -> anyhow::Result<Live> {
        let plan = Plan::of(config);
        let plan = LivePlan {
            title: config.name.clone(),
            cells: plan.cells(),
            estimated_ms: plan.estimated_ms(),
        };
        match self.tui {
            false => Ok(Live::on_stderr(plan)),
            true => Live::on_screen(plan, interrupt.clone())
                .context("cannot take the screen; run without --tui"),
        }
    }

    fn results(&self, finished: &Finished) -> anyhow::Result<ResultsDir> {
        let by_name = || Path::new(RESULTS_DIR).join(&finished.record.run_id);
        let results = ResultsDir::create(self.out.clone().unwrap_or_else(by_name))?;
        results.write(&finished.record, &finished.histograms)?;
        Ok(results)
    }

    fn write_summaries(&self, findings: &Findings<'_>) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            let xml = junit::junit(findings).context("cannot write JUnit XML")?;
            write_file(path, &xml)?;
        }
        if let Some(path) = &self.markdown {
            write_file(path, &markdown::markdown(findings))?;
        }
        Ok(())
    }
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let advice = "name a file in a directory that is there, and that you may write to";
    std::fs::write(path, text).with_context(|| format!("cannot write {}; {advice}", path.display()))
}

fn run_to_report(config: &Config, output: &Output) -> anyhow::Result<ExitCode> {
    let baseline = config.baseline.as_ref().map(|baseline| Baseline::read(&baseline.results));
    let baseline = baseline.transpose().map_err(UsageError::Baseline)?;
    let interrupt = Interrupt::on_signals().context("cannot listen to Ctrl-C")?;
    let mut live = output.live(config, &interrupt)?;
    let ran = run(config, &interrupt, &mut live);
    live.finish();
    let finished = match ran {
        Ok(finished) => finished,
        Err(error @ RunError::Interrupted) => {
            complain(&error.to_string());
            return Ok(Exit::Interrupted.into());
        }
        Err(error) => return Err(error.into()),
    };
    let results = output.results(&finished)?;
    let ceilings = [DriverKind::BytePipe.name(), DriverKind::Disk.name()];
    tell(&table::summary(&finished.record, &ceilings))?;
    let compared = match &baseline {
        Some(baseline) => compare_with(baseline, &finished, &results)?,
        None => Compared::default(),
    };
    // Its page tells of the comparison too.
    let rendered = plots::render(&finished.record, &finished.histograms, results.root())?;
    let findings = Findings {
        record: &finished.record,
        failures: &finished.failures,
        breaches: &finished.breaches,
        regressions: &compared.regressions,
        uncompared: compared.nothing,
    };
    output.write_summaries(&findings)?;
    complain_of(&findings);
    tell(&rendered.report_html.display().to_string())?;
    Ok(Exit::of(&findings).into())
}

/// What a comparison with the baseline came to.
#[derive(Default)]
struct Compared {
    regressions: Vec<String>,
    nothing: bool,
}

/// Compares, writes the comparison beside the results, and shows it.
fn compare_with(
    baseline: &Baseline,
    finished: &Finished,
    results: &ResultsDir,
) -> anyhow::Result<Compared> {
    let comparison = baseline.compare(&finished.record);
    compare::write(&comparison, results.root())?;
    tell(&compare::Format::Table.show(&comparison, compare::THRESHOLD_PERCENT)?)?;
    let worse = comparison.regressions(compare::THRESHOLD_PERCENT);
    Ok(Compared {
        regressions: worse.map(|regression| regression.to_string()).collect(),
        nothing: comparison.tally().compared() == 0,
    })
}

fn complain_of(findings: &Findings<'_>) {
    for failure in findings.failures {
        complain(&format!("failed: {failure}"));
    }
    for breach in findings.breaches {
        complain(&format!("delivery breach: {breach}"));
    }
    let objectives = &findings.record.objectives;
    for objective in objectives.iter().filter(|it| it.standing != ObjectiveStanding::Met) {
        let ObjectiveOutcome { broker, cell, assertion, found, standing, .. } = objective;
        complain(&format!("objective {standing}: {broker}: {cell}: {assertion}: {found}"));
    }
    if findings.uncompared {
        complain("baseline: nothing could be compared with it; the table says why");
    }
    for regression in findings.regressions {
        complain(&format!("regression: {regression}"));
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
