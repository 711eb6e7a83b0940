//! Writes an invented run with everything in it, pictures and report included, to look at:
//! `cargo run -p plots --example synthetic -- DIR`.

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use measure::ResultsDir;

fn main() -> anyhow::Result<()> {
    let dir = std::env::args_os().nth(1);
    let dir = dir.ok_or_else(|| anyhow::anyhow!("expected a directory to write to, found none"))?;
    let (record, histograms) = synthetic::varied::varied_run();
    let results = ResultsDir::create(std::path::PathBuf::from(dir))?;
    results.write(&record, &histograms)?;
    plots::render(&record, &histograms, results.root())?;
    Ok(())
}
