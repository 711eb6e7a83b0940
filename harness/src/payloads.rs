//! How large payloads are, and what is in them where that is given.
//!
//! What a message carries follows from a seed and the message's sequence: whoever receives it can
//! tell how long it should be, and nothing has to be drawn in order.

#[cfg(test)]
mod tests;

use crate::random;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution as _, LogNormal, Normal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The smallest payload: room for the stamp that says who sent it and when.
pub const PAYLOAD_BYTES_MIN: usize = 32;

/// The largest payload: its length has 24 bits in a stamp.
pub const PAYLOAD_BYTES_MAX: usize = (1 << 24) - 1;

/// Sizes or lines that one model is made of, at most.
pub const ENTRIES_MAX: usize = 1 << 24;

/// Where the sizes of payloads come from.
///
/// ```
/// use harness::payloads::{PayloadModel, PayloadDraw};
///
/// let model = PayloadModel::LogNormal {
///     median_bytes: 500.0,
///     sigma: 1.2,
///     min_bytes: 32,
///     max_bytes: 65_536,
/// };
/// let payloads = PayloadDraw::new(model, 42)?;
/// let below = payloads.first_sizes(10_000).into_iter().filter(|&bytes| bytes < 500).count();
/// assert!((4700..5300).contains(&below));
/// # Ok::<(), harness::payloads::PayloadError>(())
/// ```
///
/// All sizes are in bytes, stamps included, and from
/// [`PAYLOAD_BYTES_MIN`] to [`PAYLOAD_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq)]
pub enum PayloadModel {
    /// All are of one size.
    Fixed {
        /// The size.
        bytes: usize,
    },
    /// A few sizes, some more frequent than others.
    List(Vec<WeightedSize>),
    /// Each size from one to another is as frequent.
    Uniform {
        /// The smallest.
        min_bytes: usize,
        /// The largest, itself included.
        max_bytes: usize,
    },
    /// By a normal distribution; what is beyond the bounds is given the bound.
    Normal {
        /// The mean, before anything is clipped.
        mean_bytes: f64,
        /// The standard deviation, before anything is clipped.
        std_dev_bytes: f64,
        /// The smallest.
        min_bytes: usize,
        /// The largest.
        max_bytes: usize,
    },
    /// By a lognormal distribution, as most files of the web are (Barford and Crovella,
    /// "Generating Representative Web Workloads", 1998, for all but the largest); what is beyond
    /// the bounds is given the bound.
    LogNormal {
        /// The median, before anything is clipped.
        median_bytes: f64,
        /// The standard deviation of the size's natural logarithm.
        sigma: f64,
        /// The smallest.
        min_bytes: usize,
        /// The largest.
        max_bytes: usize,
    },
    /// As frequent as in this list of observed sizes; see [`parse_sizes`].
    Sizes(Vec<usize>),
    /// These texts, each behind a stamp, in random order; see [`parse_lines`].
    Lines(Vec<Vec<u8>>),
}

/// One of a few sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedSize {
    /// The size.
    pub bytes: usize,
    /// How frequent it is, beside the others' weights.
    pub weight: f64,
}

/// What payloads cannot be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A number that cannot be.
    #[error("{what}: expected {expected}, found {found}")]
    Impossible {
        /// What the number is.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A line of a file that cannot be.
    #[error("line {line}: expected {expected}, found `{found}`; correct the line or take it out")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What may stand there.
        expected: String,
        /// What does.
        found: String,
    },
}

/// The payloads of a load.
///
/// ```
/// use harness::payloads::{PayloadModel, PayloadDraw, WeightedSize};
///
/// let few = WeightedSize { bytes: 100, weight: 9.0 };
/// let large = WeightedSize { bytes: 10_000, weight: 1.0 };
/// let payloads = PayloadDraw::new(PayloadModel::List(vec![few, large]), 42)?;
/// assert_eq!(payloads.bytes_of(17), payloads.bytes_of(17));
/// let large = (0..10_000).filter(|&sequence| payloads.bytes_of(sequence) == 10_000).count();
/// assert!((900..1100).contains(&large));
/// # Ok::<(), harness::payloads::PayloadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PayloadDraw {
    draw: Draw,
    seed: u64,
    bounds: [usize; 2],
}

#[derive(Clone, Debug)]
enum Draw {
    Fixed,
    List(Vec<usize>, WeightedAliasIndex<f64>),
    Uniform(Uniform<usize>),
    Normal(Normal<f64>),
    LogNormal(LogNormal<f64>),
    Sizes(Vec<usize>, Uniform<usize>),
    Lines(Vec<Vec<u8>>, Uniform<usize>),
}

impl PayloadDraw {
    /// PayloadDraw of this model; the same `seed` gives the same ones.
    ///
    /// # Errors
    /// [`PayloadError::Impossible`] where a size is out of bounds, a list is empty or has more
    /// than [`ENTRIES_MAX`] entries, or a parameter of a distribution is not a number that it can
    /// have.
    pub fn new(model: PayloadModel, seed: u64) -> Result<Self, PayloadError> {
        let (draw, bounds) = match model {
            PayloadModel::Fixed { bytes } => (Draw::Fixed, bounds_of([bytes])?),
            PayloadModel::List(list) => weighted(&list)?,
            PayloadModel::Uniform { min_bytes, max_bytes } => {
                let bounds = range(min_bytes, max_bytes)?;
                (Draw::Uniform(among(min_bytes, max_bytes)?), bounds)
            }
            PayloadModel::Normal { mean_bytes, std_dev_bytes, min_bytes, max_bytes } => {
                positive("the mean of a normal distribution", mean_bytes)?;
                let of = "a normal distribution's deviation";
                let normal = deviation(of, std_dev_bytes, Normal::new(mean_bytes, std_dev_bytes))?;
                (Draw::Normal(normal), range(min_bytes, max_bytes)?)
            }
            PayloadModel::LogNormal { median_bytes, sigma, min_bytes, max_bytes } => {
                positive("the median of a lognormal distribution", median_bytes)?;
                let of = "a lognormal distribution's sigma";
                let log_normal = deviation(of, sigma, LogNormal::new(median_bytes.ln(), sigma))?;
                (Draw::LogNormal(log_normal), range(min_bytes, max_bytes)?)
            }
            PayloadModel::Sizes(sizes) => {
                let bounds = bounds_of(sizes.iter().copied())?;
                let index = among(0, sizes.len() - 1)?;
                (Draw::Sizes(sizes, index), bounds)
            }
            PayloadModel::Lines(lines) => {
                let bounds = bounds_of(lines.iter().map(|line| PAYLOAD_BYTES_MIN + line.len()))?;
                let index = among(0, lines.len() - 1)?;
                (Draw::Lines(lines, index), bounds)
            }
        };
        Ok(Self { draw, seed, bounds })
    }

    /// How long the payload of message `sequence` is.
    #[inline]
    #[must_use]
    pub fn bytes_of(&self, sequence: u64) -> usize {
        let [min_bytes, max_bytes] = self.bounds;
        match &self.draw {
            Draw::Fixed => min_bytes,
            Draw::List(sizes, index) => sizes[index.sample(&mut self.random(sequence))],
            Draw::Uniform(size) => size.sample(&mut self.random(sequence)),
            // Conversions of floats cut off what does not fit.
            Draw::Normal(size) => (size.sample(&mut self.random(sequence)).round() as usize)
                .clamp(min_bytes, max_bytes),
            Draw::LogNormal(size) => (size.sample(&mut self.random(sequence)).round() as usize)
                .clamp(min_bytes, max_bytes),
            Draw::Sizes(sizes, index) => sizes[index.sample(&mut self.random(sequence))],
            Draw::Lines(lines, index) => {
                PAYLOAD_BYTES_MIN + lines[index.sample(&mut self.random(sequence))].len()
            }
        }
    }

    /// What the payload of message `sequence` has behind its stamp, where the model says so.
    #[must_use]
    pub fn line_of(&self, sequence: u64) -> Option<&[u8]> {
        match &self.draw {
            Draw::Lines(lines, index) => Some(&lines[index.sample(&mut self.random(sequence))]),
            _ => None,
        }
    }

    /// The sizes of the first so many messages, for those who would rather look them up, and begin
    /// again at their end, than draw each.
    #[must_use]
    pub fn first_sizes(&self, messages: u32) -> Vec<usize> {
        (0..u64::from(messages)).map(|sequence| self.bytes_of(sequence)).collect()
    }

    /// The size of all payloads; `None` if they may differ.
    #[must_use]
    pub fn fixed_bytes(&self) -> Option<usize> {
        let [min_bytes, max_bytes] = self.bounds;
        (min_bytes == max_bytes).then_some(min_bytes)
    }

    /// The largest size that may be drawn.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bounds[1]
    }

    fn random(&self, sequence: u64) -> Xoshiro256PlusPlus {
        random::stream(self.seed, sequence)
    }
}

/// The sizes in a text that has one in bytes on each line; empty lines, and what follows a `#`, do
/// not count.
///
/// ```
/// use harness::payloads::parse_sizes;
///
/// assert_eq!(parse_sizes("# seen on Monday\n100\n2000\n"), Ok(vec![100, 2000]));
/// let error = parse_sizes("100\n2 kB\n").unwrap_err();
/// assert!(error.to_string().starts_with("line 2: expected a number of bytes"));
/// ```
///
/// # Errors
/// [`PayloadError::Line`] for what is no size, [`PayloadError::Impossible`] for none at all.
pub fn parse_sizes(text: &str) -> Result<Vec<usize>, PayloadError> {
    let mut sizes = Vec::new();
    for (index, whole) in text.lines().enumerate() {
        let line = whole.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let size = line.parse().ok().filter(|size| is_size(*size));
        sizes.push(size.ok_or_else(|| PayloadError::Line {
            line: index + 1,
            expected: format!("a number of bytes from {PAYLOAD_BYTES_MIN} to {PAYLOAD_BYTES_MAX}"),
            found: line.chars().take(40).collect(),
        })?);
    }
    entries(sizes.len())?;
    Ok(sizes)
}

/// The lines of a file, one payload each, without what ends them.
///
/// ```
/// use harness::payloads::parse_lines;
///
/// let lines = parse_lines(b"{\"at\":1}\r\n\n{\"at\":2}").unwrap();
/// assert_eq!(lines, [&b"{\"at\":1}"[..], b"", b"{\"at\":2}"]);
/// ```
///
/// # Errors
/// [`PayloadError::Impossible`] if there is none, or if there are more than [`ENTRIES_MAX`].
pub fn parse_lines(text: &[u8]) -> Result<Vec<Vec<u8>>, PayloadError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n');
    let lines: Vec<Vec<u8>> =
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect();
    entries(if text.is_empty() { 0 } else { lines.len() })?;
    Ok(lines)
}

fn weighted(list: &[WeightedSize]) -> Result<(Draw, [usize; 2]), PayloadError> {
    let sizes: Vec<usize> = list.iter().map(|entry| entry.bytes).collect();
    let bounds = bounds_of(sizes.iter().copied())?;
    let index = WeightedAliasIndex::new(list.iter().map(|entry| entry.weight).collect());
    let index = index.map_err(|_| PayloadError::Impossible {
        what: "the weights of sizes",
        expected: "numbers from 0 on, not all of them 0".to_owned(),
        found: format!("{:?}", list.iter().map(|entry| entry.weight).collect::<Vec<_>>()),
    })?;
    Ok((Draw::List(sizes, index), bounds))
}

fn is_size(bytes: usize) -> bool {
    (PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX).contains(&bytes)
}

fn entries(count: usize) -> Result<(), PayloadError> {
    if (1..=ENTRIES_MAX).contains(&count) {
        return Ok(());
    }
    let (what, expected) = ("the number of sizes or lines", format!("1 to {ENTRIES_MAX}"));
    Err(PayloadError::Impossible { what, expected, found: count.to_string() })
}

/// The smallest and the largest of some sizes, once each of them can be.
fn bounds_of(sizes: impl IntoIterator<Item = usize>) -> Result<[usize; 2], PayloadError> {
    let (mut count, mut bounds) = (0, [usize::MAX, 0]);
    for size in sizes {
        if !is_size(size) {
            return Err(PayloadError::Impossible {
                what: "the size of a payload",
                expected: format!("{PAYLOAD_BYTES_MIN} to {PAYLOAD_BYTES_MAX} bytes"),
                found: size.to_string(),
            });
        }
        count += 1;
        bounds = [bounds[0].min(size), bounds[1].max(size)];
    }
    entries(count)?;
    Ok(bounds)
}

fn range(min_bytes: usize, max_bytes: usize) -> Result<[usize; 2], PayloadError> {
    if min_bytes <= max_bytes {
        return bounds_of([min_bytes, max_bytes]);
    }
    Err(PayloadError::Impossible {
        what: "the largest size",
        expected: format!("the smallest, {min_bytes} bytes, or more"),
        found: max_bytes.to_string(),
    })
}

fn among(min: usize, max: usize) -> Result<Uniform<usize>, PayloadError> {
    Uniform::new_inclusive(min, max).map_err(|error| PayloadError::Impossible {
        what: "a uniform distribution",
        expected: "bounds in order".to_owned(),
        found: format!("{min} and {max}: {error}"),
    })
}

fn positive(what: &'static str, number: f64) -> Result<(), PayloadError> {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    let (expected, found) = ("more than 0".to_owned(), number.to_string());
    Err(PayloadError::Impossible { what, expected, found })
}

/// The distribution, unless its deviation is negative or no number; `rand_distr` itself mirrors one
/// that has a negative deviation.
fn deviation<D, E>(
    what: &'static str,
    deviation: f64,
    distribution: Result<D, E>,
) -> Result<D, PayloadError> {
    distribution.ok().filter(|_| deviation >= 0.0).ok_or_else(|| PayloadError::Impossible {
        what,
        expected: "a number from 0 on".to_owned(),
        found: deviation.to_string(),
    })
}
