//! How numbers read: three significant digits, and a unit that keeps them short.

/// What a number measures, which decides how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Things per second.
    Rate,
    /// A latency in nanoseconds.
    LatencyNs,
    /// Memory in bytes.
    Bytes,
    /// Processor cores in use.
    Cores,
    /// Seconds since a start.
    Seconds,
    /// A plain number.
    Count,
    /// A fraction from 0 to 1, written in percent.
    Quantile,
    /// How many times as much as something else.
    Ratio,
}

const RATE_UNITS: [(f64, &str); 4] = [(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")];
const LATENCY_UNITS: [(f64, &str); 4] = [(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")];
const BYTE_UNITS: [(f64, &str); 4] = [(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")];

impl Quantity {
    /// The number for an axis: no trailing zeros, e.g. `2.5 M`, `1 ms`, `99.9%`.
    pub(crate) fn tick(self, value: f64) -> String {
        self.write(value, Zeros::Trimmed)
    }

    /// The number for a table or a label: always three digits, e.g. `2.50 M`, `1.00 ms`.
    pub(crate) fn figure(self, value: f64) -> String {
        self.write(value, Zeros::Kept)
    }

    /// The number for a table or a label, or a dash where there is none.
    pub(crate) fn figure_or_dash(self, value: Option<f64>) -> String {
        value.map_or_else(|| "–".to_owned(), |value| self.figure(value))
    }

    fn write(self, value: f64, zeros: Zeros) -> String {
        if !value.is_finite() {
            return "–".to_owned();
        }
        match self {
            Self::Rate => with_unit(value, &RATE_UNITS, zeros),
            Self::LatencyNs => with_unit(value, &LATENCY_UNITS, zeros),
            // There are no fractions of a byte worth a digit.
            Self::Bytes if value.abs() < 999.5 && value != 0.0 => format!("{value:.0} B"),
            Self::Bytes => with_unit(value, &BYTE_UNITS, zeros),
            Self::Cores => digits(value, zeros),
            Self::Seconds => format!("{} s", digits(value, zeros)),
            Self::Count => grouped(value.round() as u64),
            Self::Quantile => format!("{}%", trimmed(&format!("{:.6}", value * 100.0))),
            Self::Ratio if value < 0.0995 => format!("{value:.3}×"),
            Self::Ratio => format!("{}×", digits(value, zeros)),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Zeros {
    Kept,
    Trimmed,
}

/// A whole number with a thin space between groups of three digits.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    grouped
}

fn with_unit(value: f64, units: &[(f64, &str)], zeros: Zeros) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let rounded = to_three_digits(value);
    let (scale, unit) = units
        .iter()
        .find(|(scale, _)| rounded.abs() >= *scale)
        .or(units.last())
        .expect("every table of units has a row");
    // Below the smallest unit there are no fractions worth three digits: half a nanosecond is 0.5.
    format!("{}{unit}", digits(rounded / scale, zeros))
}

/// Rounding comes before choosing the unit, so that 999 960 reads as 1 M and not as 1000 k.
fn to_three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let magnitude = 10_f64.powi(value.abs().log10().floor() as i32 - 2);
    (value / magnitude).round() * magnitude
}

fn digits(value: f64, zeros: Zeros) -> String {
    let value = to_three_digits(value);
    let decimals = match value.abs() {
        magnitude if magnitude >= 99.95 => 0,
        magnitude if magnitude >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match zeros {
        Zeros::Kept => text,
        Zeros::Trimmed => trimmed(&text).to_owned(),
    }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short_and_carry_their_unit() {
        assert_eq!(Quantity::Rate.tick(2_500_000.0), "2.5 M");
        assert_eq!(Quantity::Rate.tick(0.0), "0");
        assert_eq!(Quantity::Rate.tick(999_960.0), "1 M");
        assert_eq!(Quantity::LatencyNs.tick(1_000_000.0), "1 ms");
        assert_eq!(Quantity::LatencyNs.tick(20_000.0), "20 µs");
        assert_eq!(Quantity::Bytes.tick(1_500_000_000.0), "1.5 GB");
        assert_eq!(Quantity::Quantile.tick(0.0), "0%");
        assert_eq!(Quantity::Quantile.tick(0.9999), "99.99%");
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(Quantity::Rate.figure(85_700.0), "85.7 k");
        assert_eq!(Quantity::Rate.figure(12_000_000.0), "12.0 M");
        assert_eq!(Quantity::LatencyNs.figure(1_000_000.0), "1.00 ms");
        assert_eq!(Quantity::LatencyNs.figure(650.0), "650 ns");
        assert_eq!(Quantity::Bytes.figure(67.0), "67 B");
        assert_eq!(Quantity::Bytes.figure(999.9), "1.00 kB");
        assert_eq!(Quantity::Bytes.figure(-12.4), "-12 B");
        assert_eq!(Quantity::Cores.figure(1.9), "1.90");
        assert_eq!(Quantity::Ratio.figure(1.034), "1.03×");
        assert_eq!(Quantity::Ratio.figure(0.0079), "0.008×");
    }

    #[test]
    fn long_counts_are_grouped() {
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
    }
}
