//! Reads an objective, and says where and why it cannot.

use super::figure::{Figure, LatencyKind, Metric, Percentile};
use super::quantity::{Kind, Quantity};
use super::{Comparison, Objective};
use std::fmt;

/// Characters of an objective, at most.
const CHARACTERS_MAX: usize = 200;

/// Where an objective cannot be read, what was expected there, and what stands there.
///
/// ```
/// use harness::objectives::Objective;
///
/// let error = "respnse.p99 < 5ms".parse::<Objective>().unwrap_err();
/// assert_eq!(error.column, 1);
/// assert_eq!(error.suggestion.as_deref(), Some("response.p99"));
/// let error = "p99 < 5".parse::<Objective>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "column 8: expected a unit (ns, us, ms or s), found the end"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The place, in characters, from 1.
    pub column: usize,
    /// What could stand there.
    pub expected: String,
    /// What does.
    pub found: String,
    /// What was perhaps meant.
    pub suggestion: Option<String>,
    /// All names that are known, where one was expected.
    pub known: Vec<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, expected, found, suggestion, known } = self;
        write!(f, "column {column}: expected {expected}, found {found}")?;
        if let Some(suggestion) = suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        if !known.is_empty() {
            write!(f, "; known are {}", known.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

/// A text, and how far it has been read.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        self.at += taken;
        &rest[..taken]
    }

    fn error_at(&self, at: usize, expected: impl Into<String>) -> ParseError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let rest = self.text.get(at..).unwrap_or_default();
        let word = rest.split_whitespace().next().unwrap_or_default();
        let word: String = word.chars().take(40).collect();
        ParseError {
            column: before.chars().count() + 1,
            expected: expected.into(),
            found: if word.is_empty() { "the end".to_owned() } else { format!("`{word}`") },
            suggestion: None,
            known: Vec::new(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Objective, ParseError> {
    let mut cursor = Cursor { text, at: 0 };
    if let Some((at, _)) = text.char_indices().nth(CHARACTERS_MAX) {
        return Err(cursor.error_at(at, format!("at most {CHARACTERS_MAX} characters")));
    }
    cursor.skip_space();
    let figure = figure(&mut cursor)?;
    cursor.skip_space();
    let comparison = comparison(&mut cursor)?;
    cursor.skip_space();
    let bound = quantity(&mut cursor, figure.kind())?;
    cursor.skip_space();
    if !cursor.rest().is_empty() {
        return Err(cursor.error_at(cursor.at, "the end: one objective, and no more"));
    }
    Ok(Objective { figure, comparison, bound })
}

fn figure(cursor: &mut Cursor<'_>) -> Result<Figure, ParseError> {
    let at = cursor.at;
    let name = cursor.take_while(|part| part.is_alphanumeric() || matches!(part, '_' | '.' | '-'));
    if let Some(percentile) = Percentile::read(name) {
        return Ok(Figure::Latency(LatencyKind::Response, percentile));
    }
    if let Some(&metric) = Metric::ALL.iter().find(|metric| metric.name() == name) {
        return Ok(Figure::Metric(metric));
    }
    let (subject, statistic) = name.split_once('.').unwrap_or((name, ""));
    let Some(kind) = LatencyKind::ALL.into_iter().find(|kind| kind.name() == subject) else {
        return Err(unknown(cursor, at, subject, statistic));
    };
    Percentile::read(statistic).map(|percentile| Figure::Latency(kind, percentile)).ok_or_else(
        || {
            let example = format!("a percentile, such as `{subject}.p99`, or `{subject}.max`");
            cursor.error_at(at + subject.len(), example)
        },
    )
}

fn unknown(cursor: &Cursor<'_>, at: usize, subject: &str, statistic: &str) -> ParseError {
    let latencies = LatencyKind::ALL.into_iter().map(LatencyKind::name);
    let metrics = Metric::ALL.iter().map(|metric| metric.name());
    let suggestion = if statistic.is_empty() {
        nearest(subject, metrics.clone().chain(["p50", "p99", "p99.9", "max"])).map(str::to_owned)
    } else {
        nearest(subject, latencies.clone()).map(|subject| format!("{subject}.{statistic}"))
    };
    // A latency without its percentile.
    let suggestion = suggestion
        .or_else(|| nearest(subject, latencies.clone()).map(|subject| format!("{subject}.p99")));
    let percentiles = ["p50", "p99", "p99.9", "max"].into_iter().map(str::to_owned);
    let of_latencies = latencies.map(|latency| format!("{latency}.p99"));
    let known = percentiles.chain(of_latencies).chain(metrics.map(str::to_owned)).collect();
    ParseError { suggestion, known, ..cursor.error_at(at, "the name of a figure") }
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<Comparison, ParseError> {
    let at = cursor.at;
    let sign = cursor.take_while(|part| matches!(part, '<' | '>' | '=' | '!' | '~' | '≤' | '≥'));
    let known = Comparison::ALL.into_iter().find(|comparison| comparison.sign() == sign);
    known.ok_or_else(|| ParseError {
        suggestion: match sign {
            "=" | "===" => Some("==".to_owned()),
            "=<" | "≤" => Some("<=".to_owned()),
            "=>" | "≥" => Some(">=".to_owned()),
            _ => None,
        },
        ..cursor.error_at(at, "one of <, <=, ==, >= and >")
    })
}

fn quantity(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Quantity, ParseError> {
    let at = cursor.at;
    let written = cursor.take_while(|part| part.is_ascii_digit() || matches!(part, '.' | '_'));
    let digits = written.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(cursor.error_at(at, "a number from 0 on, such as 100 or 2.5"));
    }
    cursor.skip_space();
    let unit_at = cursor.at;
    let unit = cursor.take_while(char::is_alphabetic);
    let scale = kind.scale(unit).ok_or_else(|| ParseError {
        suggestion: nearest_unit(unit, kind).map(str::to_owned),
        ..cursor.error_at(unit_at, units(kind))
    })?;
    Quantity::read(&digits, scale, kind).map_err(|expected| cursor.error_at(at, expected))
}

/// Which units could follow a number.
fn units(kind: Kind) -> String {
    let names: Vec<&str> = kind.unit_names().filter(|name| !name.is_empty()).rev().collect();
    match (kind, names.split_last()) {
        (Kind::Number, _) | (_, None) => "no unit: the figure's name says it".to_owned(),
        (Kind::Duration, Some((last, others))) => {
            format!("a unit ({} or {last})", others.join(", "))
        }
        (_, Some((last, others))) => format!("no unit, or {} or {last}", others.join(", ")),
    }
}

/// The unit that is meant, if it is only spelled with other capitals.
fn nearest_unit(unit: &str, kind: Kind) -> Option<&'static str> {
    let mut alike = kind.unit_names().filter(|name| name.eq_ignore_ascii_case(unit));
    alike.next().filter(|name| !name.is_empty())
}

/// The name that is meant, if it is like one.
fn nearest(name: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |known: &'static str| (strsim::damerau_levenshtein(name, known), known);
    let (distance, nearest) =
        known.into_iter().map(distance).min_by_key(|(distance, _)| *distance)?;
    (distance <= 1.max(nearest.len() / 3)).then_some(nearest)
}
