//! The `plots` command: draws what a benchmark run has measured.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use measure::ResultsDir;
use plots::Rendered;

/// The arguments or the results cannot be used; clap exits with the same code.
const EXIT_UNUSABLE: u8 = 2;

/// Draw the results of a benchmark run: SVG and PNG pictures, and one self-contained HTML report.
///
/// Pictures go to plots/, the report to report.html, and the comparison with another run, if there
/// is a comparison.json, to comparison.html; in the results directory itself unless --out names
/// another place. What is there is replaced.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes:\n  0  everything was drawn\n  \
                  2  bad usage, results that cannot be read, or a place that cannot be written to",
    after_long_help = "Examples:\n  \
                       plots results/latest\n  \
                       plots results/latest --out /tmp/report\n\n\
                       Exit codes:\n  0  everything was drawn\n  \
                       2  bad usage, results that cannot be read, or a place that cannot be \
                       written to"
)]
struct Arguments {
    /// The directory that a benchmark run has written: run.json, histograms.hlog and,
    /// if they are there, timeline.hlog and comparison.json are read
    results_dir: PathBuf,

    /// Where to write plots/ and report.html [default: RESULTS_DIR]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match draw(&arguments) {
        Ok(rendered) => {
            announce(&rendered);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error);
            ExitCode::from(EXIT_UNUSABLE)
        }
    }
}

fn draw(arguments: &Arguments) -> anyhow::Result<Rendered> {
    let results = ResultsDir::open(&arguments.results_dir)?;
    let out = arguments.out.as_deref().unwrap_or(results.root());
    plots::render_results(&results, out).with_context(|| {
        format!("cannot draw the run in {} into {}", results.root().display(), out.display())
    })
}

#[expect(clippy::print_stdout, reason = "telling where the files are is what the command is for")]
fn announce(rendered: &Rendered) {
    for file in rendered.picture_files.iter().chain(&rendered.comparison_files) {
        println!("{}", file.display());
    }
    println!("{}", rendered.report_html.display());
}

#[expect(clippy::print_stderr, reason = "a command line program reports its errors there")]
fn complain(error: &anyhow::Error) {
    eprintln!("plots: {error:#}");
}
