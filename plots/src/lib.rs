//! Run records to SVG, PNG and one self-contained HTML report.
//!
//! [`render`] draws every picture of a run and writes them, with the report, into a directory laid
//! out like a results directory. The pictures are independent of each other and are drawn in
//! parallel. [`pictures`] and [`report_html`] are the same without touching the disk.

mod axis;
mod bar_chart;
mod canvas;
mod error;
mod figure;
mod figures;
mod fonts;
mod forest_chart;
mod judged;
mod line_chart;
mod palette;
mod picture;
mod piles;
mod promises;
mod quantity;
mod report;
mod series;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use measure::comparison::Comparison;
use measure::{HistogramSet, ResultsDir, RunRecord};
use rayon::prelude::*;

pub use error::PlotsError;
pub use picture::{Picture, PictureData};
pub use report::{comparison_html, comparison_section_html, report_html};

/// The file of a results directory that holds a comparison with another run.
const COMPARISON_JSON: &str = "comparison.json";

/// What [`render`] has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The pictures, in the order of the report.
    pub pictures: Vec<Picture>,
    /// The files of the pictures: an SVG, and a PNG each on light and on dark paper.
    pub picture_files: Vec<PathBuf>,
    /// The page and the pictures of the comparison with another run, if there is one.
    pub comparison_files: Vec<PathBuf>,
    /// The report.
    pub report_html: PathBuf,
}

/// Draws every picture of a run, and writes them to `plots/` and the report to `report.html` in
/// `out_dir`, which is made if need be. What is there is replaced. Where `comparison.json` in
/// `out_dir` compares this run with another, the report says what came of it.
///
/// # Errors
/// [`PlotsError::Directory`] or [`PlotsError::Write`] if the files cannot be written,
/// [`PlotsError::Comparison`] if there is a comparison that cannot be read,
/// [`PlotsError::Raster`] if a picture cannot be turned into pixels.
pub fn render(
    record: &RunRecord,
    histograms: &HistogramSet,
    out_dir: &Path,
) -> Result<Rendered, PlotsError> {
    let out = ResultsDir::create(out_dir)?;
    let comparison = comparison_of(record, &out)?;
    render_run(record, histograms, comparison.as_ref(), &out)
}

/// Draws everything that a run has left in its directory again, from the files alone: as
/// [`render`], and with [`render_comparison`] if it was compared with another run.
///
/// # Errors
/// As of [`render`]; [`PlotsError::Directory`] also if record or histograms cannot be read.
pub fn render_results(results: &ResultsDir, out_dir: &Path) -> Result<Rendered, PlotsError> {
    let record = results.read_record()?;
    let histograms = results.read_histograms()?;
    let comparison = comparison_of(&record, results)?;
    let out = ResultsDir::create(out_dir)?;
    let mut rendered = render_run(&record, &histograms, comparison.as_ref(), &out)?;
    if let Some(comparison) = &comparison {
        rendered.comparison_files = render_comparison(comparison, out_dir)?;
    }
    Ok(rendered)
}

fn render_run(
    record: &RunRecord,
    histograms: &HistogramSet,
    comparison: Option<&Comparison>,
    out: &ResultsDir,
) -> Result<Rendered, PlotsError> {
    fs::create_dir_all(out.plots()).map_err(|source| write_error(&out.plots(), source))?;
    let pictures = pictures(record, histograms);
    let picture_files: Vec<[PathBuf; 3]> = pictures
        .par_iter()
        .map(|picture| write_picture(picture, &out.plots()))
        .collect::<Result<_, _>>()?;
    let page = report_html(record, histograms, &pictures, comparison);
    write(&out.report_html(), page.as_bytes())?;
    Ok(Rendered {
        pictures,
        picture_files: picture_files.into_iter().flatten().collect(),
        comparison_files: vec![],
        report_html: out.report_html(),
    })
}

/// Draws every picture of a run, in the order of the report.
///
/// Never fails: where a run has no data for a picture, the picture says so.
#[must_use]
pub fn pictures(record: &RunRecord, histograms: &HistogramSet) -> Vec<Picture> {
    let subjects = figures::Subjects::new(record, histograms);
    figures::FIGURES.par_iter().map(|figure| figure(&subjects).picture()).collect()
}

/// Draws a comparison of two runs as a forest plot.
#[must_use]
pub fn comparison_picture(comparison: &Comparison) -> Picture {
    figures::comparison_figure(comparison).picture()
}

/// Draws a comparison of two runs and writes `comparison.html`, `comparison.svg`, `comparison.png`
/// and `comparison-dark.png` to `out_dir`, which is made if need be. What is there is replaced.
///
/// # Errors
/// As of [`render`].
pub fn render_comparison(
    comparison: &Comparison,
    out_dir: &Path,
) -> Result<Vec<PathBuf>, PlotsError> {
    let out = ResultsDir::create(out_dir)?;
    let picture = comparison_picture(comparison);
    let html = out.root().join("comparison.html");
    write(&html, comparison_html(comparison, &picture).as_bytes())?;
    let [svg, png, dark] = write_picture(&picture, out.root())?;
    Ok(vec![html, svg, png, dark])
}

/// The comparison of this run with another that lies in its directory; `None` if there is none.
fn comparison_of(record: &RunRecord, dir: &ResultsDir) -> Result<Option<Comparison>, PlotsError> {
    let path = dir.root().join(COMPARISON_JSON);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PlotsError::Comparison { path, reason: source.to_string() }),
    };
    let comparison: Comparison = serde_json::from_slice(&text)
        .map_err(|error| PlotsError::Comparison { path, reason: error.to_string() })?;
    // What an earlier run left in the directory says nothing of this one.
    let is_of_it = [&comparison.a, &comparison.b].iter().any(|run| run.run_id == record.run_id);
    Ok(is_of_it.then_some(comparison))
}

fn write_picture(picture: &Picture, dir: &Path) -> Result<[PathBuf; 3], PlotsError> {
    let svg = dir.join(format!("{}.svg", picture.name()));
    write(&svg, picture.svg().as_bytes())?;
    let png = dir.join(format!("{}.png", picture.name()));
    write(&png, &picture.png()?)?;
    let dark_png = dir.join(format!("{}-dark.png", picture.name()));
    write(&dark_png, &picture.dark_png()?)?;
    Ok([svg, png, dark_png])
}

fn write(path: &Path, content: &[u8]) -> Result<(), PlotsError> {
    fs::write(path, content).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> PlotsError {
    PlotsError::Write { path: path.to_owned(), source }
}
