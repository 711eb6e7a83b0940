//! Comparing: which cells belong together, how their repeats differ, and what that comes to.

use fastrand::Rng;

use super::cell::{Cell, Repeat, Run, Validity};
use super::matching::{Matched, Matching};
use super::metric::Metric;
use super::outcome::{
    COMPARISON_FORMAT_VERSION, Change, ComparedCell, ComparedMetric, Comparison, Difference,
    Method, NoiseSource, Repeats, differences,
};
use super::reason::{Incomparable, Side};
use super::stored_noise::StoredNoise;
use crate::statistics::{
    Autocorrelation, Bootstrap, Drift, cliffs_delta, holm_adjusted, mann_whitney,
    noise_floor_ratio, p_min_apart,
};
use crate::{BrokerKind, RunRecord};

/// Fewer valid repeats than this tell nothing: no p below 0.05 can be reached with three a side.
pub const REPEATS_MIN: u32 = 5;

/// No test of an honest size needs more; past it the advice would be to compare less at once.
const REPEATS_ADVISED_MAX: u32 = 50;

/// Seeds of neighbouring cells must not meet.
const METRICS_MAX: u64 = 64;

/// How to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOptions<'a> {
    /// How intervals are found.
    pub bootstrap: Bootstrap,
    /// The fraction of comparisons of like with like in which anything may be called a difference.
    pub significance: f64,
    /// The seed of all randomness.
    pub seed: u64,
    /// The only metrics to compare; empty: all. Fewer tests need fewer repeats.
    pub metrics: Vec<Metric>,
    /// Brokers that have another name in B: the name in A, and that in B.
    pub pairs: Vec<(String, String)>,
    /// A comparison of like with like: differences within what it found are noise too.
    pub noise: Option<&'a Comparison>,
}

impl Default for CompareOptions<'_> {
    /// At 5 % significance and 95 % confidence, everything by its own name.
    fn default() -> Self {
        Self {
            bootstrap: Bootstrap::default(),
            significance: 0.05,
            seed: 1,
            metrics: Vec::new(),
            pairs: Vec::new(),
            noise: None,
        }
    }
}

/// Compares two runs: B, the candidate, with A, the baseline.
///
/// Cells belong together if the broker's name and everything that makes the cell what it is are the
/// same. A metric is [`Better`](Change::Better) or [`Worse`](Change::Worse) if the ratio of its
/// medians lies outside the noise floor and the Mann-Whitney test, corrected for all tests of the
/// comparison, is significant; see [`noise_floor_ratio`] and [`Incomparable`].
#[must_use]
pub fn compare(a: &RunRecord, b: &RunRecord, options: &CompareOptions<'_>) -> Comparison {
    compare_runs(&Run::of(a), &Run::of(b), options)
}

pub(super) fn compare_runs(a: &Run, b: &Run, options: &CompareOptions<'_>) -> Comparison {
    let machine = differences(&a.machine, &b.machine);
    let apart = (!machine.is_empty()).then_some(Incomparable::Machine { differences: machine });
    let (matched, left_out) = Matching { a, b, pairs: &options.pairs }.cells();
    let drift = drift(a, b, &matched);
    let comparing = Comparing { options, drift, noise: options.noise.map(StoredNoise::of) };
    let mut cells: Vec<ComparedCell> = matched
        .into_iter()
        .enumerate()
        .map(|(index, pair)| comparing.cell(index, &pair, apart.as_ref()))
        .collect();
    let tests = decide(&mut cells, options.significance, drift.autocorrelation());
    let notes = notes(a, b, &options.pairs, &cells);
    Comparison {
        format_version: COMPARISON_FORMAT_VERSION,
        a: a.facts.clone(),
        b: b.facts.clone(),
        method: Method {
            bootstrap: options.bootstrap,
            significance: options.significance,
            seed: options.seed,
            repeats_min: REPEATS_MIN,
            drift,
            tests,
            noise_of: options
                .noise
                .map(|noise| format!("{} against {}", noise.a.run_id, noise.b.run_id)),
        },
        cells,
        left_out,
        notes,
    }
}

/// One run is one drift. Of two runs, all metrics of all cells together tell how much neighbouring
/// repeats are alike, whichever metrics were asked for.
fn drift(a: &Run, b: &Run, matched: &[Matched<'_>]) -> Drift {
    if a.is_same_run(b) {
        return Drift::Shared;
    }
    let cells = matched.iter().flat_map(|pair| [pair.a, pair.b]);
    let series: Vec<Vec<f64>> = cells
        .flat_map(|cell| Metric::ALL.map(|metric| cell.values(metric)))
        .map(|values| values.into_iter().map(f64::ln).collect())
        .collect();
    Drift::Separate(Autocorrelation::of_all(series.iter().map(Vec::as_slice)))
}

fn notes(a: &Run, b: &Run, pairs: &[(String, String)], cells: &[ComparedCell]) -> Vec<String> {
    let mut notes = Vec::new();
    if a.is_same_run(b) && pairs.is_empty() {
        notes.push("A and B are the same run: pair two of its brokers to compare them".to_owned());
    }
    for (in_a, in_b) in pairs {
        for (side, run, name) in [(Side::A, a, in_a), (Side::B, b, in_b)] {
            if run.cells.iter().all(|cell| cell.broker != *name) {
                notes.push(format!("{in_a} was paired with {in_b}, and {side} has no such broker"));
            }
        }
    }
    if a.config_toml != b.config_toml {
        notes.push(
            "the runs' configurations are not the same text; cells are compared if what the \
             record tells of them is the same"
                .to_owned(),
        );
    }
    let ceilings = cells.iter().filter(|cell| cell.kind == BrokerKind::Ceiling);
    let changed = ceilings.filter(|cell| {
        cell.metrics.iter().any(|it| matches!(it.verdict, Change::Better | Change::Worse))
    });
    notes.extend(changed.map(|cell| {
        format!(
            "{}, which is no broker, changed too in {}: the machine was not what it had been, and \
             brokers may have changed by that; let both sides take turns in one run",
            cell.broker(),
            cell.label
        )
    }));
    notes
}

struct Comparing<'a> {
    options: &'a CompareOptions<'a>,
    drift: Drift,
    noise: Option<StoredNoise<'a>>,
}

impl Comparing<'_> {
    fn cell(&self, index: usize, pair: &Matched<'_>, apart: Option<&Incomparable>) -> ComparedCell {
        let Matched { a, b, incomparable } = pair;
        let mut compared = ComparedCell {
            broker_a: a.broker.clone(),
            broker_b: b.broker.clone(),
            kind: a.kind,
            label: a.label.clone(),
            facts: a.facts.clone(),
            repeats_a: a.count(),
            repeats_b: b.count(),
            incomparable: apart
                .cloned()
                .or_else(|| guarantees_apart(a, b))
                .or_else(|| incomparable.clone())
                .or_else(|| invalid(a, b))
                .or_else(|| without_repeats(a, b)),
            metrics: Vec::new(),
        };
        if compared.incomparable.is_none() {
            let metrics = Metric::ALL.into_iter().enumerate();
            let wanted = metrics.filter(|(_, metric)| {
                self.options.metrics.is_empty() || self.options.metrics.contains(metric)
            });
            compared.metrics = wanted
                .filter_map(|(place, metric)| {
                    let seed = index as u64 * METRICS_MAX + place as u64;
                    self.metric(metric, [a, b], &mut self.random(seed))
                })
                .collect();
        }
        compared
    }

    /// Each metric has randomness of its own, so that leaving others out does not change it.
    fn random(&self, seed: u64) -> Rng {
        Rng::with_seed(self.options.seed.wrapping_add(seed))
    }

    /// One metric, with everything but a verdict that needs all other metrics; `None` if neither
    /// side measured it.
    fn metric(
        &self,
        metric: Metric,
        cells: [&Cell; 2],
        random: &mut Rng,
    ) -> Option<ComparedMetric> {
        let [a, b] = cells.map(|cell| cell.values(metric));
        if a.is_empty() && b.is_empty() {
            return None;
        }
        let bootstrap = &self.options.bootstrap;
        let mut compared = ComparedMetric {
            metric,
            a: bootstrap.median(&a, random),
            b: bootstrap.median(&b, random),
            difference: None,
            verdict: Change::WithinNoise,
        };
        match unsustained(metric, cells).or_else(|| untestable(&a, &b)) {
            Some(reason) => compared.verdict = Change::Incomparable(reason),
            None => compared.difference = self.difference(metric, cells[0], [&a, &b], random),
        }
        Some(compared)
    }

    fn difference(
        &self,
        metric: Metric,
        cell: &Cell,
        [a, b]: [&[f64]; 2],
        random: &mut Rng,
    ) -> Option<Difference> {
        let ratio = self.options.bootstrap.ratio_of_medians(a, b, random)?;
        let test = mann_whitney(a, b)?.of_alike(self.drift.autocorrelation());
        let of_repeats = noise_floor_ratio(a, b, self.drift, random)?;
        let stored = self.noise.as_ref().and_then(|noise| noise.floor_ratio(cell, metric));
        let (noise_floor_ratio, noise_source) = match stored {
            Some(stored) if stored > of_repeats => (stored, NoiseSource::StoredComparison),
            _ => (of_repeats, NoiseSource::Repeats),
        };
        Some(Difference {
            ratio,
            p: test.p,
            p_adjusted: test.p,
            p_min: test.p_min,
            p_method: test.method,
            cliffs_delta: cliffs_delta(a, b)?,
            noise_floor_ratio,
            noise_source,
        })
    }
}

fn guarantees_apart(a: &Cell, b: &Cell) -> Option<Incomparable> {
    (a.guarantee != b.guarantee)
        .then(|| Incomparable::Guarantee { a: a.guarantee.clone(), b: b.guarantee.clone() })
}

/// A side that has repeats, or was found invalid as a whole, and of which none is valid.
fn invalid(a: &Cell, b: &Cell) -> Option<Incomparable> {
    let invalid = Side::each(a, b).into_iter().find(|(_, cell)| {
        let is_judged = cell.validity == Validity::Invalid || !cell.repeats.is_empty();
        is_judged && cell.count().valid == 0
    });
    invalid.map(|(side, cell)| Incomparable::Invalid { side, reasons: cell.reasons.clone() })
}

/// A side whose repeats were not recorded one by one.
fn without_repeats(a: &Cell, b: &Cell) -> Option<Incomparable> {
    let [a, b] = [a, b].map(|cell| cell.count().valid);
    (a == 0 || b == 0).then_some(Incomparable::TooFewRepeats { a, b, needed: REPEATS_MIN })
}

/// A side that has no latencies that mean anything, since it did not keep up.
fn unsustained(metric: Metric, [a, b]: [&Cell; 2]) -> Option<Incomparable> {
    let mut sides = Side::each(a, b).into_iter();
    let unsustained = sides.find(|(_, cell)| {
        let is_unsustained = |repeat: &Repeat| repeat.validity == Validity::Unsustainable;
        metric.is_stream_latency()
            && cell.values(metric).is_empty()
            && cell.repeats.iter().any(is_unsustained)
    });
    unsustained.map(|(side, _)| Incomparable::Unsustainable { side })
}

/// Why the values of a metric cannot be tested, if they cannot.
fn untestable(a: &[f64], b: &[f64]) -> Option<Incomparable> {
    let mut sides = Side::each(a, b).into_iter();
    if let Some((side, _)) = sides.clone().find(|(_, values)| values.is_empty()) {
        return Some(Incomparable::NotMeasured { side });
    }
    let [a_count, b_count] = [a, b].map(|values| values.len() as u32);
    if a_count.min(b_count) < REPEATS_MIN {
        let needed = REPEATS_MIN;
        return Some(Incomparable::TooFewRepeats { a: a_count, b: b_count, needed });
    }
    let flawed = sides.find(|(_, values)| values.iter().any(|value| *value <= 0.0));
    flawed.map(|(side, _)| Incomparable::NoRatio { side })
}

/// Corrects the p values of all metrics that could be tested, and gives each its verdict. Returns
/// how many they are.
fn decide(cells: &mut [ComparedCell], significance: f64, alike: Autocorrelation) -> u32 {
    let mut tested: Vec<&mut ComparedMetric> = cells
        .iter_mut()
        .flat_map(|cell| &mut cell.metrics)
        .filter(|metric| metric.difference.is_some())
        .collect();
    let p_values: Vec<f64> =
        tested.iter().filter_map(|metric| Some(metric.difference?.p)).collect();
    let tests = p_values.len() as u32;
    let needed = repeats_needed(tests, significance, alike);
    for (metric, p_adjusted) in tested.iter_mut().zip(holm_adjusted(&p_values)) {
        let Some(difference) = &mut metric.difference else { continue };
        difference.p_adjusted = p_adjusted;
        metric.verdict = verdict(metric.metric, difference, significance, [tests, needed]);
    }
    tests
}

/// The noise floor comes first: within it nothing is a difference, whatever p says.
fn verdict(
    metric: Metric,
    difference: &Difference,
    significance: f64,
    [tests, needed]: [u32; 2],
) -> Change {
    if difference.is_within_noise() {
        return Change::WithinNoise;
    }
    if difference.p_adjusted <= significance {
        return difference.change(metric);
    }
    // If even samples that do not overlap would not be significant, that these are not says nothing.
    let p_min_adjusted = (difference.p_min * f64::from(tests)).min(1.0);
    if p_min_adjusted <= significance {
        return Change::WithinNoise;
    }
    Change::Incomparable(Incomparable::TestTooWeak {
        p_min: difference.p_min,
        p_min_adjusted,
        tests,
        needed,
    })
}

/// The number of repeats a side with which samples that do not overlap are significant among so
/// many tests.
fn repeats_needed(tests: u32, significance: f64, alike: Autocorrelation) -> u32 {
    let is_enough =
        |repeats: &u32| p_min_apart(*repeats as usize, alike) * f64::from(tests) <= significance;
    (REPEATS_MIN..REPEATS_ADVISED_MAX).find(is_enough).unwrap_or(REPEATS_ADVISED_MAX)
}

impl Cell {
    fn count(&self) -> Repeats {
        let of = |validity| {
            let repeats = self.repeats.iter().filter(|repeat| repeat.validity == validity);
            repeats.count() as u32
        };
        let (suspect, unsustainable) = (of(Validity::Suspect), of(Validity::Unsustainable));
        Repeats {
            valid: of(Validity::Valid) + suspect + unsustainable,
            invalid: of(Validity::Invalid),
            suspect,
            unsustainable,
        }
    }

    /// The metric's values in valid repeats, in the order they ran.
    fn values(&self, metric: Metric) -> Vec<f64> {
        let valid = self.repeats.iter().filter(|repeat| match repeat.validity {
            Validity::Valid | Validity::Suspect => true,
            Validity::Unsustainable => !metric.is_stream_latency(),
            Validity::Invalid => false,
        });
        valid.filter_map(|repeat: &Repeat| repeat.value(metric)).collect()
    }
}
