//! Histograms and the run record: the file format between harness and plots.
//!
//! The harness fills a [`RunRecord`] and a [`HistogramSet`] and hands both to
//! [`ResultsDir::write`]; anything that shows results reads them back with
//! [`ResultsDir::read_record`] and [`ResultsDir::read_histograms`].
//!
//! | file | what it holds |
//! |---|---|
//! | `run.json` | the [`RunRecord`], versioned by [`FORMAT_VERSION`] |
//! | `config.toml` | the effective configuration, as text |
//! | `machine.json` | the [`MachineFacts`] |
//! | `histograms.hlog` | every latency histogram, one tagged line each, in the HdrHistogram interval log format 1.3 |
//! | `spectra/*.hgrm` | the same histograms as percentile spectra in text |
//! | `operations.csv`, `streams.csv`, `backlogs.csv`, `restarts.csv`, `resources.csv` | the record's tables, flat |
//! | `plots/`, `report.html` | pictures and report, written by `plots` |
//!
//! Latencies are whole nanoseconds, rates are per second, sizes are bytes, and every name says so.

mod cell;
mod durable;
mod durable_tables;
mod error;
mod events;
mod guarantee;
mod histogram;
mod hlog;
mod knee;
mod latencies;
mod load;
mod machine;
mod objective;
mod results_dir;
mod run_record;
mod series;
mod spectrum;
mod tables;
mod verdict;

pub use cell::{
    CellResources, GeneratorFigures, GeneratorThread, OperationRound, Round, TimelinePoint,
};
pub use durable::{
    BacklogDrain, BacklogPass, BacklogResult, DataPlace, DeliveryFaults, PageCache, RestartResult,
    StopKind,
};
pub use durable_tables::{write_backlogs_csv, write_restarts_csv};
pub use error::MeasureError;
pub use events::{IdleResult, OutageResult, StormResult};
pub use guarantee::GuaranteeClass;
pub use histogram::{
    LATENCY_NS_MAX, LATENCY_NS_MIN, LatencyHistogram, LatencySummary, SAMPLES_BEYOND_MIN,
};
pub use hlog::{HistogramSet, HistogramTag, LoggedHistogram};
pub use knee::{KneeAttempt, KneePhase, KneeResult};
pub use latencies::{Latency, StreamLatencies};
pub use load::{Arrivals, StreamLoad};
pub use machine::MachineFacts;
pub use objective::{DriverCeiling, ObjectiveOutcome, ObjectiveStanding};
pub use results_dir::ResultsDir;
pub use run_record::{
    BrokerKind, BrokerRun, FORMAT_VERSION, PhaseMark, ResourceSample, RunRecord, SkippedBroker,
};
pub use series::{
    Acknowledged, FAULTY_PAIRS_MAX, OperationName, OperationResult, PairFaults, StreamPattern,
    StreamResult, StreamShape, rate_per_s,
};
pub use spectrum::{SpectrumPoint, SpectrumUnit};
pub use tables::{write_operations_csv, write_resources_csv, write_streams_csv};
pub use verdict::{Standing, Verdict};
