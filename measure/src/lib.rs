//! Histograms and the run record: the file format between harness and plots.
//!
//! The harness fills a [`RunRecord`] and a [`HistogramSet`] and hands both to
//! [`ResultsDir::write`]; anything that shows results reads them back with
//! [`ResultsDir::read_record`] and [`ResultsDir::read_histograms`].
//!
//! | file | what it holds |
//! |---|---|
//! | `run.json` | the [`RunRecord`], versioned by [`FORMAT_VERSION`]; its JSON Schema is [`RUN_SCHEMA`] |
//! | `config.toml` | the effective configuration, as text |
//! | `machine.json` | the [`MachineFacts`] |
//! | `histograms.hlog` | every latency histogram, one tagged line each, in the HdrHistogram interval log format 1.3 |
//! | `spectra/*.hgrm` | the same histograms as percentile spectra in text |
//! | `timeline.hlog` | latency over time: one tagged line for each interval, in the same format, to two significant digits |
//! | `streams.csv`, … | the record's tables, flat: every one of [`TABLES`] |
//! | `plots/`, `report.html` | pictures and report, written by `plots` |
//!
//! Latencies are whole nanoseconds, rates are per second, sizes are bytes, and every name says so.

mod cell;
pub mod comparison;
mod durable;
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
mod schema;
mod series;
mod spectrum;
pub mod statistics;
mod tables;
mod timeline;
mod verdict;

pub use cell::{
    CellResources, GeneratorFigures, GeneratorThread, OperationRound, Round, TimelinePoint,
};
pub use durable::{
    BacklogDrain, BacklogPass, BacklogResult, DataPlace, DeliveryFaults, PageCache, RestartResult,
    StopKind,
};
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
pub use schema::{RUN_SCHEMA, run_schema};
pub use series::{
    Acknowledged, Churned, FAULTY_PAIRS_MAX, OperationName, OperationResult, PairFaults,
    StreamPattern, StreamResult, StreamShape, rate_per_s,
};
pub use spectrum::{SpectrumPoint, SpectrumUnit};
pub use tables::{TABLES, Table};
pub use timeline::{Timeline, TimelineInterval};
pub use verdict::{Standing, Verdict};
