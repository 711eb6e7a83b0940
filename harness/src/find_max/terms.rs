//! How a search for the highest rate goes about.

/// How a search goes about.
///
/// ```
/// use harness::find_max::Terms;
///
/// let terms = Terms { tolerance: 0.02, ..Terms::new(1000.0, 2e6) };
/// assert!(terms.check().is_ok());
/// let backwards = Terms { climb_factor: 0.5, ..terms };
/// assert!(backwards.check().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The first rate, over all publishers.
    pub start_per_s: f64,
    /// The lowest rate: if it is missed, so is everything.
    pub lowest_per_s: f64,
    /// The highest rate: what the load generator itself can do.
    pub ceiling_per_s: f64,
    /// The factor between rates of the climb, above 1.
    pub climb_factor: f64,
    /// How close, relative to the rate, the answer and the lowest missed rate come to each other.
    pub tolerance: f64,
    /// The attempts at one rate of whose results the majority holds; an odd number. Three suffice
    /// where one in twenty attempts fails for reasons of its own, five where one in ten does.
    pub votes: u32,
    /// The attempts, of which the majority has to be met, that confirm the answer; an odd number.
    pub confirmations: u32,
    /// The invalid attempts in a row at one rate after which it is given up.
    pub invalid_max: u32,
    /// The attempts in all after which the search is given up.
    pub attempts_max: u32,
}

impl Terms {
    /// The usual search from a rate up to what the generator can do: by doubling, down to a
    /// hundredth of the start, to 5 %, three votes and three confirmations, at most a hundred
    /// attempts.
    #[must_use]
    pub fn new(start_per_s: f64, ceiling_per_s: f64) -> Self {
        Self {
            start_per_s,
            lowest_per_s: start_per_s / 100.0,
            ceiling_per_s,
            climb_factor: 2.0,
            tolerance: 0.05,
            votes: 3,
            confirmations: 3,
            invalid_max: 3,
            attempts_max: 100,
        }
    }

    /// Whether a search by these terms comes to an end and means something.
    ///
    /// # Errors
    /// [`TermsError`] for the first term that is out of bounds.
    pub fn check(&self) -> Result<(), TermsError> {
        let Self { start_per_s, lowest_per_s, ceiling_per_s, climb_factor, tolerance, .. } = *self;
        let is_odd = |count: u32| (1..=MEASURED_MAX).contains(&count) && count % 2 == 1;
        let odd = || format!("an odd number up to {MEASURED_MAX}");
        let in_order = "above 0, and lowest, start and ceiling in this order".to_owned();
        check(
            "lowest_per_s",
            &lowest_per_s,
            lowest_per_s > 0.0 && lowest_per_s <= start_per_s,
            &in_order,
        )?;
        let is_below = start_per_s <= ceiling_per_s && ceiling_per_s.is_finite();
        check("ceiling_per_s", &ceiling_per_s, is_below, &in_order)?;
        let is_factor = (1.1..=100.0).contains(&climb_factor);
        check("climb_factor", &climb_factor, is_factor, "1.1 to 100")?;
        check("tolerance", &tolerance, (0.005..=0.5).contains(&tolerance), "0.005 to 0.5")?;
        check("votes", &self.votes, is_odd(self.votes), &odd())?;
        check("confirmations", &self.confirmations, is_odd(self.confirmations), &odd())?;
        check("invalid_max", &self.invalid_max, self.invalid_max > 0, "at least 1")?;
        let is_bounded = (1..=ATTEMPTS_MAX).contains(&self.attempts_max);
        check("attempts_max", &self.attempts_max, is_bounded, &format!("1 to {ATTEMPTS_MAX}"))
    }
}

/// Votes and confirmations of one rate, at most.
const MEASURED_MAX: u32 = 99;

/// Attempts of one search, at most.
const ATTEMPTS_MAX: u32 = 10_000;

fn check(
    term: &'static str,
    found: &dyn ToString,
    is_possible: bool,
    expected: &str,
) -> Result<(), TermsError> {
    if is_possible {
        return Ok(());
    }
    Err(TermsError { term, expected: expected.to_owned(), found: found.to_string() })
}

/// A term that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{term}` of a search: expected {expected}, found {found}")]
pub struct TermsError {
    /// Its name.
    pub term: &'static str,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}
