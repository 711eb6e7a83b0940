//! What a comparison comes to, in words that tables, pages and pictures share.

use std::fmt::Write as _;

use super::outcome::{ComparedCell, ComparedMetric, Comparison, Difference, percent_of_ratio};
use super::reason::show_p;
use crate::statistics::{Drift, Estimate};

/// Stands where there is nothing to show.
pub const NOTHING: &str = "–";

impl Comparison {
    /// How many metrics came to what, in one sentence.
    #[must_use]
    pub fn tally_in_words(&self) -> String {
        let tally = self.tally();
        format!(
            "{} worse, {} better, {} within noise, {} incomparable",
            tally.worse, tally.better, tally.within_noise, tally.incomparable
        )
    }

    /// How it was compared, one sentence each.
    #[must_use]
    pub fn method_in_words(&self) -> Vec<String> {
        let method = &self.method;
        let mut words = vec![format!(
            "Medians over repeats, with {} intervals of {} bootstrap resamples; two-sided \
             Mann-Whitney tests at {} over all {} tests (Holm).",
            percent(method.bootstrap.confidence),
            method.bootstrap.resamples,
            percent(method.significance),
            method.tests
        )];
        let differences =
            self.cells.iter().flat_map(|cell| &cell.metrics).filter_map(|metric| metric.difference);
        if let Some(p_min) = differences.map(|difference| difference.p_min).reduce(f64::max) {
            words.push(format!(
                "With the fewest repeats here p cannot fall below {}, which over all tests is {}.",
                show_p(p_min),
                show_p((p_min * f64::from(method.tests)).min(1.0))
            ));
        }
        words.push(match method.drift {
            Drift::Shared => "Both sides took turns in one run and share its drift.".to_owned(),
            Drift::Separate(alike) => format!(
                "The sides ran one after the other: noise floors and p values allow for drift \
                 (neighbouring repeats correlate by {:.2}).",
                alike.value()
            ),
        });
        if let Some(noise_of) = &method.noise_of {
            words.push(format!("Noise was also taken from {noise_of}."));
        }
        words
    }
}

impl ComparedCell {
    /// The broker, what was measured, and how many repeats there are.
    #[must_use]
    pub fn heading(&self) -> String {
        let [a, b] = [self.repeats_a, self.repeats_b];
        let mut words =
            format!("{}: {} ({} and {} repeats", self.broker(), self.label, a.valid, b.valid);
        let asides = [
            (a.invalid + b.invalid, "invalid left out"),
            (a.suspect + b.suspect, "suspect"),
            (a.unsustainable + b.unsustainable, "not sustained"),
        ];
        for (count, what) in asides.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(words, ", {count} {what}");
        }
        words + ")"
    }
}

impl ComparedMetric {
    /// The median of a side with its interval, e.g. `412 k/s [405 k/s, 420 k/s]`.
    #[must_use]
    pub fn estimate_in_words(&self, estimate: Option<Estimate>) -> String {
        estimate.map_or_else(
            || NOTHING.to_owned(),
            |Estimate { value, interval }| {
                let show = |value| self.metric.show(value);
                format!("{} [{}, {}]", show(value), show(interval.low), show(interval.high))
            },
        )
    }

    /// How much more B is than A, with its interval, e.g. `−10.2 % [−12.0, −8.1]`.
    #[must_use]
    pub fn change_in_words(&self) -> String {
        self.told(|Difference { ratio: Estimate { value, interval }, .. }| {
            let signed = |ratio| signed(percent_of_ratio(ratio));
            let [value, low, high] = [*value, interval.low, interval.high].map(signed);
            format!("{value} % [{low}, {high}]")
        })
    }

    /// Between which changes there is only noise, e.g. `−4.8 to +5.0 %`.
    #[must_use]
    pub fn noise_in_words(&self) -> String {
        self.told(|Difference { noise_floor_ratio: floor, .. }| {
            let [low, high] = [1.0 / floor, *floor].map(|ratio| signed(percent_of_ratio(ratio)));
            format!("{low} to {high} %")
        })
    }

    /// The corrected p value.
    #[must_use]
    pub fn p_in_words(&self) -> String {
        self.told(|difference| show_p(difference.p_adjusted))
    }

    /// Cliff's delta.
    #[must_use]
    pub fn effect_in_words(&self) -> String {
        self.told(|difference| format!("{:+.2}", difference.cliffs_delta).replace('-', "−"))
    }

    fn told(&self, words: impl FnOnce(&Difference) -> String) -> String {
        self.difference.as_ref().map_or_else(|| NOTHING.to_owned(), words)
    }
}

/// With its sign, to a tenth.
fn signed(percent: f64) -> String {
    format!("{percent:+.1}").replace('-', "−")
}

fn percent(fraction: f64) -> String {
    let percent = (fraction * 1e6).round() / 1e4;
    format!("{percent} %")
}
