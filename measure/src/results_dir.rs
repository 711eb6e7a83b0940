//! The directory that a run leaves behind: its layout, writing it, and reading it back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::{
    FORMAT_VERSION, HistogramSet, HistogramTag, MeasureError, RunRecord, SpectrumUnit, TABLES,
    Table, Timeline,
};

/// A results directory; see the crate's documentation for its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsDir {
    root: PathBuf,
}

impl ResultsDir {
    /// Makes the directory, with its parents, unless it is there already.
    ///
    /// # Errors
    /// [`MeasureError::Io`] if it cannot be made.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, MeasureError> {
        let dir = Self { root: root.into() };
        create_dir(&dir.root)?;
        Ok(dir)
    }

    /// Takes a directory that a run has written.
    ///
    /// # Errors
    /// [`MeasureError::Malformed`] if there is no run record in it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, MeasureError> {
        let dir = Self { root: root.into() };
        if dir.run_json().is_file() {
            return Ok(dir);
        }
        let found = match (dir.root.is_dir(), dir.root.exists()) {
            (true, _) => "a directory without run.json",
            (false, true) => "a file",
            (false, false) => "nothing of that name",
        };
        Err(MeasureError::Malformed {
            place: dir.root.display().to_string(),
            expected: "a results directory with run.json in it",
            found: found.to_owned(),
            advice: "name the directory that a finished benchmark run has written",
        })
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The run record.
    #[must_use]
    pub fn run_json(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// The effective configuration.
    #[must_use]
    pub fn config_toml(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The machine's facts.
    #[must_use]
    pub fn machine_json(&self) -> PathBuf {
        self.root.join("machine.json")
    }

    /// The histograms.
    #[must_use]
    pub fn histograms_hlog(&self) -> PathBuf {
        self.root.join("histograms.hlog")
    }

    /// Latency over time.
    #[must_use]
    pub fn timeline_hlog(&self) -> PathBuf {
        self.root.join("timeline.hlog")
    }

    /// The percentile spectrum of one histogram.
    #[must_use]
    pub fn spectrum_hgrm(&self, tag: &HistogramTag) -> PathBuf {
        let name = tag.as_str().replace(['/', '\\'], "_");
        self.spectra().join(format!("{name}.hgrm"))
    }

    /// One of the tables.
    #[must_use]
    pub fn table_csv(&self, table: &Table) -> PathBuf {
        self.root.join(table.file_name)
    }

    /// The directory of pictures.
    #[must_use]
    pub fn plots(&self) -> PathBuf {
        self.root.join("plots")
    }

    /// The report.
    #[must_use]
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Writes everything but pictures and report, replacing what is there.
    ///
    /// The run record is written last, so a directory that has one is complete.
    ///
    /// # Errors
    /// [`MeasureError::Io`] if a file cannot be written, [`MeasureError::Encode`] if the record
    /// holds what its formats cannot.
    pub fn write(&self, record: &RunRecord, histograms: &HistogramSet) -> Result<(), MeasureError> {
        let started_at = UNIX_EPOCH + Duration::from_millis(record.started_at_unix_ms);
        write_file(&self.config_toml(), record.config_toml.as_bytes())?;
        write_json(&self.machine_json(), &record.machine)?;
        write_file(&self.histograms_hlog(), &histograms.to_hlog(started_at)?)?;
        write_file(&self.timeline_hlog(), &histograms.timeline().to_hlog(started_at)?)?;
        self.write_spectra(histograms)?;
        self.write_tables(record)?;
        write_json(&self.run_json(), record)
    }

    /// Reads the run record.
    ///
    /// # Errors
    /// [`MeasureError::Io`] if it cannot be read, [`MeasureError::UnsupportedVersion`] if another
    /// version of the format wrote it, [`MeasureError::Malformed`] if it is not a run record.
    pub fn read_record(&self) -> Result<RunRecord, MeasureError> {
        let path = self.run_json();
        let text = fs::read_to_string(&path).map_err(|source| MeasureError::read(&path, source))?;
        let malformed = |found: String| MeasureError::Malformed {
            place: path.display().to_string(),
            expected: "a run record in JSON",
            found,
            advice: "the file is damaged or from another program: run the benchmark again",
        };
        // The version comes first: a record of another version need not parse as this one's type.
        let json: Value =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let Some(found) = json.get("format_version").and_then(Value::as_u64) else {
            return Err(malformed("no number format_version".to_owned()));
        };
        if found != u64::from(FORMAT_VERSION) {
            return Err(MeasureError::UnsupportedVersion { path, expected: FORMAT_VERSION, found });
        }
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))
    }

    /// Reads the histograms, and the timeline if there is one.
    ///
    /// # Errors
    /// [`MeasureError::Io`] if a log cannot be read, [`MeasureError::Malformed`] if it is not an
    /// interval log.
    pub fn read_histograms(&self) -> Result<HistogramSet, MeasureError> {
        let path = self.histograms_hlog();
        let log = fs::read(&path).map_err(|source| MeasureError::read(&path, source))?;
        let mut set = HistogramSet::from_hlog(&log).map_err(|error| name_file(error, &path))?;
        let path = self.timeline_hlog();
        match fs::read(&path) {
            Ok(log) => {
                let timeline = Timeline::from_hlog(&log);
                *set.timeline_mut() = timeline.map_err(|error| name_file(error, &path))?;
            }
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(MeasureError::read(&path, source)),
        }
        Ok(set)
    }

    fn spectra(&self) -> PathBuf {
        self.root.join("spectra")
    }

    fn write_spectra(&self, histograms: &HistogramSet) -> Result<(), MeasureError> {
        create_dir(&self.spectra())?;
        for (tag, logged) in histograms.iter() {
            let path = self.spectrum_hgrm(tag);
            let mut text = Vec::new();
            logged
                .histogram
                .write_spectrum(&mut text, SpectrumUnit::Microseconds)
                .map_err(|source| MeasureError::write(&path, source))?;
            write_file(&path, &text)?;
        }
        Ok(())
    }

    fn write_tables(&self, record: &RunRecord) -> Result<(), MeasureError> {
        TABLES.iter().try_for_each(|table| write_file(&self.table_csv(table), &table.csv(record)?))
    }
}

fn create_dir(path: &Path) -> Result<(), MeasureError> {
    fs::create_dir_all(path).map_err(|source| MeasureError::Io {
        action: "create",
        path: path.to_owned(),
        source,
        advice: "choose a place for results that you may write to",
    })
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), MeasureError> {
    fs::write(path, content).map_err(|source| MeasureError::write(path, source))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), MeasureError> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|error| MeasureError::encode(path.display().to_string(), &error))?;
    json.push(b'\n');
    write_file(path, &json)
}

/// Puts the file's path in front of what the parser, which saw only bytes, could say.
fn name_file(error: MeasureError, path: &Path) -> MeasureError {
    match error {
        MeasureError::Malformed { expected, found, advice, .. } => {
            MeasureError::Malformed { place: path.display().to_string(), expected, found, advice }
        }
        other => other,
    }
}
