//! Finds the highest rate at which a broker reaches its objectives: its knee.
//!
//! RFC 2544 §26.1 calls it the throughput and searches for it by halving; what goes wrong with
//! that on software, whose measurements scatter, and what helps, is from RFC 9971 (MLRsearch):
//!
//! - The rate climbs by a factor until it is missed, and the interval is then halved, on a
//!   logarithmic scale, down to a relative tolerance.
//! - A rate is missed only if the majority of several attempts misses (an exceed ratio of one half):
//!   one failure near the knee is noise. In the climb one success is enough to go on.
//! - Where a lower rate misses and a higher one is met ("loss inversion"), the lower one prevails:
//!   the answer is the highest rate below *all* that were missed (the relevant lower bound), and a
//!   broker that recovers beyond its knee is not credited with it. A gap of missed rates that is
//!   narrower than a step of the climb may go unseen.
//! - The answer is confirmed by further attempts. If they fail, it counts as missed, and the search
//!   goes on below it. The rate above it is tried again as well: were its earlier misses bad luck,
//!   and most of all its attempts are met now, the search goes on above it.
//!
//! The state machine measures nothing: it says which rate it wants to know about, and is told.
//!
//! ```
//! use harness::find_max::{Answer, Attempt, FindMax, Step, Terms};
//! use measure::Standing;
//!
//! // A broker that keeps its objective up to 41 300 messages per second.
//! let mut search = FindMax::new(Terms::new(1000.0, 1e6))?;
//! let answer = loop {
//!     match search.next() {
//!         Step::Measure { rate_per_s, .. } => {
//!             let met = rate_per_s <= 41_300.0;
//!             search.handle_result(Attempt { met, standing: Standing::Valid });
//!         }
//!         Step::Done(answer) => break answer,
//!     }
//! };
//! let Answer::Knee { rate_per_s, missed_per_s } = answer else { panic!("{answer}") };
//! assert!(rate_per_s <= 41_300.0 && missed_per_s > 41_300.0);
//! assert!(missed_per_s / rate_per_s <= 1.05);
//! # Ok::<(), harness::find_max::TermsError>(())
//! ```

mod answer;
mod terms;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Unsettled};
pub use terms::{Terms, TermsError};

use measure::Standing;

/// What the search wants next.
///
/// ```
/// use harness::find_max::{FindMax, Phase, Step, Terms};
///
/// let search = FindMax::new(Terms::new(1000.0, 1e6))?;
/// assert_eq!(search.next(), Step::Measure { rate_per_s: 1000.0, phase: Phase::Climb });
/// # Ok::<(), harness::find_max::TermsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A measurement, whose result goes to [`FindMax::handle_result`].
    Measure {
        /// At this rate, over all publishers.
        rate_per_s: f64,
        /// What for.
        phase: Phase,
    },
    /// Nothing more.
    Done(Answer),
}

/// What a measurement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// To find a rate that is met and one that is missed.
    Climb,
    /// To bring the two together.
    Bisect,
    /// To make sure.
    Confirm,
}

/// The result of one measurement.
///
/// ```
/// use harness::find_max::{Attempt, FindMax, Phase, Step, Terms};
/// use measure::Standing;
///
/// let mut search = FindMax::new(Terms::new(1000.0, 1e6))?;
/// // Nothing is known yet: the same rate again.
/// search.handle_result(Attempt { met: true, standing: Standing::Invalid });
/// assert_eq!(search.next(), Step::Measure { rate_per_s: 1000.0, phase: Phase::Climb });
/// // It can be done: twice as much.
/// search.handle_result(Attempt { met: true, standing: Standing::Valid });
/// assert_eq!(search.next(), Step::Measure { rate_per_s: 2000.0, phase: Phase::Climb });
/// # Ok::<(), harness::find_max::TermsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether all objectives were reached.
    pub met: bool,
    /// What the measurement is worth: if it is invalid, it says nothing and is repeated; if the
    /// broker could not keep up with the rate, that is missed.
    pub standing: Standing,
}

/// A search under way; see the [module](self) for how it goes.
#[derive(Clone, Debug)]
pub struct FindMax {
    terms: Terms,
    /// The rates that were met and are below all that were missed, ascending.
    met_per_s: Vec<f64>,
    /// The rates that were missed, descending: each was below all before it.
    missed: Vec<Missed>,
    /// The rates that were missed once, and then met: none is tried a third time.
    overturned_per_s: Vec<f64>,
    /// The highest rate that the generator can do, as far as is known.
    ceiling_per_s: f64,
    current: Current,
    attempts: u32,
    answer: Option<Answer>,
}

/// The rate that is being measured.
#[derive(Clone, Copy, Debug)]
struct Current {
    rate_per_s: f64,
    question: Question,
    met: u32,
    missed: u32,
    invalid_in_a_row: u32,
}

/// What is to be known of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Question {
    Climb,
    Bisect,
    /// Is it met, as it was before?
    StillMet,
    /// Is it missed, as it was in these attempts before?
    StillMissed(Missed),
}

/// A rate that was missed, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Missed {
    rate_per_s: f64,
    met: u32,
    missed: u32,
    /// Whether it has been tried again before.
    is_certain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ruling {
    Met,
    Missed,
}

impl FindMax {
    /// A search by these terms.
    ///
    /// # Errors
    /// What [`Terms::check`] says.
    pub fn new(terms: Terms) -> Result<Self, TermsError> {
        terms.check()?;
        Ok(Self {
            terms,
            met_per_s: Vec::new(),
            missed: Vec::new(),
            overturned_per_s: Vec::new(),
            ceiling_per_s: terms.ceiling_per_s,
            current: Current::new(terms.start_per_s, Question::Climb),
            attempts: 0,
            answer: None,
        })
    }

    /// What to do next; the same until a result comes.
    #[must_use]
    pub fn next(&self) -> Step {
        match &self.answer {
            Some(answer) => Step::Done(answer.clone()),
            None => {
                let Current { rate_per_s, question, .. } = self.current;
                Step::Measure { rate_per_s, phase: question.phase() }
            }
        }
    }

    /// How many results there were, invalid ones among them.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Takes the result of the measurement that [`next`](Self::next) asks for. After the answer
    /// nothing changes any more.
    pub fn handle_result(&mut self, attempt: Attempt) {
        if self.answer.is_some() {
            return;
        }
        self.attempts += 1;
        if attempt.standing == Standing::Invalid {
            self.current.invalid_in_a_row += 1;
            if self.current.invalid_in_a_row >= self.terms.invalid_max {
                self.give_rate_up();
            }
        } else {
            self.current.invalid_in_a_row = 0;
            let is_met = attempt.met && attempt.standing != Standing::Unsustainable;
            let votes = if is_met { &mut self.current.met } else { &mut self.current.missed };
            *votes += 1;
            match self.current.ruling(&self.terms) {
                Some(Ruling::Met) => self.handle_met(),
                Some(Ruling::Missed) => self.handle_missed(),
                None => {}
            }
        }
        if self.answer.is_none() && self.attempts >= self.terms.attempts_max {
            self.answer = Some(self.unsettled(Unsettled::AttemptsSpent(self.attempts)));
        }
    }

    fn handle_met(&mut self) {
        let Current { rate_per_s, question, .. } = self.current;
        match (question, self.missed.last().copied()) {
            (Question::StillMet, None) => self.answer = Some(Answer::AtLeast { rate_per_s }),
            (Question::StillMet, Some(missed)) if missed.is_certain => self.find_knee(),
            (Question::StillMet, Some(missed)) => {
                self.current = Current::new(missed.rate_per_s, Question::StillMissed(missed));
            }
            (Question::StillMissed(_), _) => {
                self.missed.pop();
                self.overturned_per_s.push(rate_per_s);
                self.met_per_s.push(rate_per_s);
                self.choose();
            }
            (Question::Climb | Question::Bisect, _) => {
                self.met_per_s.push(rate_per_s);
                self.choose();
            }
        }
    }

    fn handle_missed(&mut self) {
        let Current { rate_per_s, question, met, missed, .. } = self.current;
        if let Question::StillMissed(_) = question {
            return self.find_knee();
        }
        self.met_per_s.retain(|&met_per_s| met_per_s < rate_per_s);
        let is_certain = self.overturned_per_s.contains(&rate_per_s);
        self.missed.push(Missed { rate_per_s, met, missed, is_certain });
        self.choose();
    }

    /// The greatest rate that was met is confirmed, and so is the least that was missed.
    fn find_knee(&mut self) {
        if let (Some(&rate_per_s), Some(missed)) = (self.met_per_s.last(), self.missed.last()) {
            self.answer = Some(Answer::Knee { rate_per_s, missed_per_s: missed.rate_per_s });
        }
    }

    /// Where the generator fails at a rate above others that are met, these are what can be said;
    /// elsewhere nothing can.
    fn give_rate_up(&mut self) {
        let Current { rate_per_s, question, invalid_in_a_row: attempts, .. } = self.current;
        if let Question::StillMissed(_) = question {
            return self.find_knee();
        }
        match (self.met_per_s.last(), self.missed.last()) {
            (Some(&met_per_s), None) if met_per_s < rate_per_s => {
                self.ceiling_per_s = met_per_s;
                self.choose();
            }
            _ => {
                let reason = Unsettled::Invalid { rate_per_s, attempts };
                self.answer = Some(self.unsettled(reason));
            }
        }
    }

    /// The next rate, or that there is none. Each lies between the greatest that was met and the
    /// least that was missed, or is the former, to be confirmed.
    fn choose(&mut self) {
        let Terms { lowest_per_s, climb_factor, tolerance, .. } = self.terms;
        let missed_per_s = self.missed_per_s();
        let (rate_per_s, question) = match (self.met_per_s.last(), missed_per_s) {
            (None, None) => (self.terms.start_per_s, Question::Climb),
            (Some(&met), None) if met >= self.ceiling_per_s => (met, Question::StillMet),
            (Some(&met), None) => {
                (round(met * climb_factor).min(self.ceiling_per_s), Question::Climb)
            }
            (None, Some(missed)) if missed <= lowest_per_s => {
                self.answer = Some(Answer::NeverMet { missed_per_s: missed });
                return;
            }
            (None, Some(missed)) => {
                (round(missed / climb_factor).max(lowest_per_s), Question::Climb)
            }
            (Some(&met), Some(missed)) => {
                let middle = round((met * missed).sqrt());
                let is_close = missed / met <= 1.0 + tolerance;
                // Where rates are so close that rounding joins them, they are close enough.
                if is_close || middle <= met || middle >= missed {
                    (met, Question::StillMet)
                } else {
                    (middle, Question::Bisect)
                }
            }
        };
        self.current = Current::new(rate_per_s, question);
    }

    fn missed_per_s(&self) -> Option<f64> {
        self.missed.last().map(|missed| missed.rate_per_s)
    }

    fn unsettled(&self, reason: Unsettled) -> Answer {
        let (met_per_s, missed_per_s) = (self.met_per_s.last().copied(), self.missed_per_s());
        Answer::Unsettled { met_per_s, missed_per_s, reason }
    }
}

impl Question {
    fn phase(self) -> Phase {
        match self {
            Self::Climb => Phase::Climb,
            Self::Bisect => Phase::Bisect,
            Self::StillMet | Self::StillMissed(_) => Phase::Confirm,
        }
    }
}

impl Current {
    fn new(rate_per_s: f64, question: Question) -> Self {
        Self { rate_per_s, question, met: 0, missed: 0, invalid_in_a_row: 0 }
    }

    fn ruling(&self, terms: &Terms) -> Option<Ruling> {
        let (met, missed) = (self.met, self.missed);
        let majority = |of: u32| of / 2 + 1;
        match self.question {
            Question::Climb if met == 1 && missed == 0 => Some(Ruling::Met),
            Question::Climb | Question::Bisect if met >= majority(terms.votes) => Some(Ruling::Met),
            Question::Climb | Question::Bisect => {
                (missed >= majority(terms.votes)).then_some(Ruling::Missed)
            }
            Question::StillMet if missed >= majority(terms.confirmations) => Some(Ruling::Missed),
            // All of them, so that the answer has as many results to show.
            Question::StillMet => (met + missed >= terms.confirmations).then_some(Ruling::Met),
            Question::StillMissed(before) => {
                let left = terms.confirmations.saturating_sub(met + missed);
                let (met, missed) = (met + before.met, missed + before.missed);
                if missed >= met + left {
                    Some(Ruling::Missed)
                } else {
                    (met > missed + left).then_some(Ruling::Met)
                }
            }
        }
    }
}

/// To four significant digits, for people who read the attempts.
fn round(rate_per_s: f64) -> f64 {
    let unit = 10f64.powi(rate_per_s.log10().floor() as i32 - 3);
    if unit >= 1.0 {
        (rate_per_s / unit).round() * unit
    } else {
        (rate_per_s * unit.recip()).round() / unit.recip()
    }
}
