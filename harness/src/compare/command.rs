//! `harness compare`: its arguments, what it writes, and its exit code.

use super::{COMPARISON_JSON, CompareError, THRESHOLD_PERCENT, junit, markdown, table};
use clap::{Args, ValueEnum};
use measure::comparison::{
    COMPARISON_FORMAT_VERSION, CompareOptions, Comparison, Metric, compare, machine_differences,
};
use measure::{MachineFacts, ResultsDir};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Something is worse than in the baseline, by more than noise and by more than the threshold.
pub const EXIT_REGRESSION: u8 = 5;

/// Not one metric could be compared: the runs, or one of them, are not fit for it.
pub const EXIT_NOTHING_COMPARED: u8 = 6;

/// Exit codes of `harness compare`, for its help.
const EXIT_CODES: &str = "Exit codes:
  0    nothing is worse
  2    the command line or the results cannot be used
  5    regression: something is worse, by more than noise and by the threshold or more
  6    nothing could be compared";

/// What to compare, and how to show it.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The results to compare with: the baseline
    pub a: PathBuf,
    /// The results to compare: the candidate
    pub b: PathBuf,
    /// A comparison of two runs of the same thing, written by --out: what differs there is noise
    #[arg(long, value_name = "DIR")]
    pub noise: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Compare only this, e.g. response-p99; may be given again [default: everything]
    #[arg(long = "metric", value_name = "NAME")]
    pub metrics: Vec<Metric>,
    /// Let a broker of A meet one of another name in B; with A and B the same directory, two
    /// brokers of one run; may be given again
    #[arg(long = "pair", value_name = "A_NAME=B_NAME", value_parser = pair)]
    pub pairs: Vec<(String, String)>,
    /// Changes for the worse by less than this fail nothing
    #[arg(long, value_name = "PERCENT", default_value_t = THRESHOLD_PERCENT, value_parser = percent)]
    pub threshold_percent: f64,
    /// Also write comparison.json, .html, .svg and .png there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// How a comparison is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal
    #[default]
    Table,
    /// Everything, for programs
    Json,
    /// Tables for a review or a page
    Markdown,
    /// Test cases for a CI server
    Junit,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err(format!("expected two brokers' names as A_NAME=B_NAME, found `{text}`")),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let fit = number.filter(|number| number.is_finite() && *number >= 0.0);
    fit.ok_or_else(|| format!("expected a percentage of at least 0, found `{text}`"))
}

/// Compares, shows it on standard output, writes what is to be written, and gives the exit code.
///
/// # Errors
/// [`CompareError`]: the results cannot be read, or something cannot be written.
pub fn carry_out(arguments: &Arguments) -> Result<u8, CompareError> {
    let [a, b] = [&arguments.a, &arguments.b].map(|dir| ResultsDir::open(dir)?.read_record());
    let (a, b) = (a?, b?);
    let noise = arguments.noise.as_deref().map(|dir| read_noise(dir, &a.machine)).transpose()?;
    let options = CompareOptions {
        metrics: arguments.metrics.clone(),
        pairs: arguments.pairs.clone(),
        noise: noise.as_ref(),
        ..CompareOptions::default()
    };
    let comparison = compare(&a, &b, &options);
    if let Some(out) = &arguments.out {
        write(&comparison, out)?;
    }
    let shown = arguments.format.show(&comparison, arguments.threshold_percent)?;
    writeln!(std::io::stdout(), "{}", shown.trim_end())
        .map_err(|source| CompareError::Write { what: "to standard output".to_owned(), source })?;
    Ok(exit_code(&comparison, arguments.threshold_percent))
}

/// [`EXIT_REGRESSION`] if something is worse by the threshold or more, [`EXIT_NOTHING_COMPARED`]
/// if nothing could be compared, and 0 otherwise.
#[must_use]
pub fn exit_code(comparison: &Comparison, threshold_percent: f64) -> u8 {
    match comparison.tally().compared() {
        0 => EXIT_NOTHING_COMPARED,
        _ if comparison.regressions(threshold_percent).next().is_some() => EXIT_REGRESSION,
        _ => 0,
    }
}

impl Format {
    /// The comparison in this format.
    ///
    /// # Errors
    /// [`CompareError::Encode`] if the format cannot hold it, which is a bug.
    pub fn show(
        self,
        comparison: &Comparison,
        threshold_percent: f64,
    ) -> Result<String, CompareError> {
        match self {
            Self::Table => Ok(table::table(comparison, threshold_percent)),
            Self::Markdown => Ok(markdown::markdown(comparison, threshold_percent)),
            Self::Json => json(comparison),
            Self::Junit => junit::junit(comparison, threshold_percent),
        }
    }
}

fn json(comparison: &Comparison) -> Result<String, CompareError> {
    serde_json::to_string_pretty(comparison)
        .map_err(|error| CompareError::Encode { format: "JSON", reason: error.to_string() })
}

/// Writes the comparison to a directory, as JSON and drawn.
///
/// # Errors
/// [`CompareError`]: something cannot be written.
pub fn write(comparison: &Comparison, dir: &Path) -> Result<(), CompareError> {
    plots::render_comparison(comparison, dir)?;
    let path = dir.join(COMPARISON_JSON);
    fs::write(&path, json(comparison)? + "\n")
        .map_err(|source| CompareError::Write { what: path.display().to_string(), source })
}

fn read_noise(dir: &Path, machine: &MachineFacts) -> Result<Comparison, CompareError> {
    let path = dir.join(COMPARISON_JSON);
    let text = fs::read_to_string(&path)
        .map_err(|source| CompareError::Noise { path: path.clone(), source })?;
    let malformed = |found: String| CompareError::NoiseMalformed {
        path: path.clone(),
        expected: COMPARISON_FORMAT_VERSION,
        found,
    };
    let noise: Comparison =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if noise.format_version != COMPARISON_FORMAT_VERSION {
        return Err(malformed(noise.format_version.to_string()));
    }
    let apart = machine_differences(machine, &noise.a.machine);
    match apart.first() {
        None => Ok(noise),
        Some(first) => Err(CompareError::NoiseOfAnotherMachine {
            path,
            expected: format!("{} {}", first.fact, first.a),
            found: format!("{} {}", first.fact, first.b),
        }),
    }
}
