//! Numbers with units, exact: what is written is what is meant, and is written back.

/// What a number counts, and so which units it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In nanoseconds.
    Duration,
    /// Per second.
    Rate,
    /// In bytes.
    Bytes,
    /// Things.
    Count,
    /// In the unit that the figure's name says, if it has any.
    Number,
}

/// A number that is not negative, in millionths of its kind's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Quantity {
    millionths: u128,
}

/// The largest quantity: about thirty years in nanoseconds.
pub(super) const QUANTITY_MAX: u128 = 1_000_000_000_000_000_000;

const MILLION: u128 = 1_000_000;

/// Digits of one number, at most.
const DIGITS_MAX: usize = 25;

struct Unit {
    name: &'static str,
    scale: u128,
}

const fn unit(name: &'static str, scale: u128) -> Unit {
    Unit { name, scale }
}

/// Largest first, for writing.
const DURATIONS: &[Unit] =
    &[unit("s", 1_000_000_000), unit("ms", 1_000_000), unit("us", 1_000), unit("ns", 1)];
const NUMBERS: &[Unit] =
    &[unit("G", 1_000_000_000), unit("M", 1_000_000), unit("k", 1_000), unit("", 1)];
const BYTES: &[Unit] = &[
    unit("GiB", 1 << 30),
    unit("GB", 1_000_000_000),
    unit("MiB", 1 << 20),
    unit("MB", 1_000_000),
    unit("KiB", 1 << 10),
    unit("kB", 1_000),
    unit("B", 1),
];
const NONE: &[Unit] = &[unit("", 1)];

impl Kind {
    fn units(self) -> &'static [Unit] {
        match self {
            Self::Duration => DURATIONS,
            Self::Rate | Self::Count => NUMBERS,
            Self::Bytes => BYTES,
            Self::Number => NONE,
        }
    }

    /// How many of its own units one such unit is.
    pub(super) fn scale(self, name: &str) -> Option<u128> {
        let name = match (self, name) {
            (Self::Duration, "µs" | "μs") => "us",
            (Self::Bytes, "") => "B",
            _ => name,
        };
        self.units().iter().find(|unit| unit.name == name).map(|unit| unit.scale)
    }

    /// The names of its units; an empty one where none is needed.
    pub(super) fn unit_names(self) -> impl DoubleEndedIterator<Item = &'static str> {
        self.units().iter().map(|unit| unit.name)
    }

    /// Whether there are no parts of its own unit.
    fn is_whole(self) -> bool {
        matches!(self, Self::Duration | Self::Bytes | Self::Count)
    }
}

impl Quantity {
    /// Reads digits with at most one point, as so many times `scale`.
    ///
    /// # Errors
    /// What was expected instead.
    pub(super) fn read(digits: &str, scale: u128, kind: Kind) -> Result<Self, String> {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let too_many = || format!("at most {DIGITS_MAX} digits");
        if whole.len() + fraction.len() > DIGITS_MAX {
            return Err(too_many());
        }
        let number: u128 = format!("{whole}{fraction}").parse().map_err(|_| too_many())?;
        let (scaled, parts) = (number * scale, 10u128.pow(fraction.len() as u32));
        if scaled / parts > QUANTITY_MAX {
            return Err(format!(
                "at most {}",
                Self { millionths: QUANTITY_MAX * MILLION }.write(kind)
            ));
        }
        // Both below 2^128: scaled is at most 10^18 times parts, and parts at most 10^25.
        let (base, rest) = (scaled / parts, scaled % parts);
        let millionths = rest * MILLION / parts;
        if kind.is_whole() && rest != 0 {
            let smallest = kind.unit_names().next_back().unwrap_or_default();
            return Err(if smallest.is_empty() {
                "a whole number".to_owned()
            } else {
                format!("a whole number of {smallest}")
            });
        }
        if !(rest * MILLION).is_multiple_of(parts) {
            return Err("at most six decimals".to_owned());
        }
        Ok(Self { millionths: base * MILLION + millionths })
    }

    /// The nearest quantity, not below 0 nor above [`QUANTITY_MAX`].
    pub(super) fn nearest(number: f64) -> Self {
        let millionths = (number * MILLION as f64).round().max(0.0) as u128;
        Self { millionths: millionths.min(QUANTITY_MAX * MILLION) }
    }

    /// In its kind's own unit.
    pub(super) fn number(self) -> f64 {
        self.millionths as f64 / MILLION as f64
    }

    /// Writes it with the largest unit that keeps it short; reading that gives it back.
    pub(super) fn write(self, kind: Kind) -> String {
        let decimals_max = match kind {
            Kind::Duration => usize::MAX,
            _ => 2,
        };
        let units = kind.units();
        let (shortest, smallest) = units.split_at(units.len() - 1);
        let written =
            shortest.iter().filter(|unit| self.millionths >= unit.scale * MILLION).find_map(
                |unit| self.in_units_of(unit.scale, decimals_max).map(|number| number + unit.name),
            );
        written.unwrap_or_else(|| {
            let unit = smallest.first().map_or("", |unit| unit.name);
            let number = decimal(self.millionths / MILLION, self.millionths % MILLION, 6);
            number + unit
        })
    }

    /// Written as a decimal number of a unit, if it can be with so many decimals.
    fn in_units_of(self, scale: u128, decimals_max: usize) -> Option<String> {
        let whole_unit = scale * MILLION;
        let (whole, rest) = (self.millionths / whole_unit, self.millionths % whole_unit);
        if scale.is_power_of_two() {
            return (rest == 0).then(|| whole.to_string());
        }
        let digits = whole_unit.ilog10() as usize;
        let number = decimal(whole, rest, digits);
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        (decimals <= decimals_max).then_some(number)
    }
}

fn decimal(whole: u128, fraction: u128, digits: usize) -> String {
    let number = format!("{whole}.{fraction:0digits$}");
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}
