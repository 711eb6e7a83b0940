//! Which topic a message goes to.

use crate::random;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution as _, Uniform, Zipf};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The steepest popularity of topics: beyond it, nearly all messages go to the first one.
pub const EXPONENT_MAX: f64 = 10.0;

/// Topics, at most, for whose popularity a table is made; it takes twelve bytes for each.
const TABLE_TOPICS_MAX: u32 = 1 << 18;

/// Draws topics by number, from 0, in a time that does not depend on how many there are.
///
/// ```
/// use harness::topic_choice::TopicChoice;
///
/// let mut choice = TopicChoice::zipf(1000, 1.0, 42)?;
/// let drawn: Vec<u32> = (0..10_000).map(|_| choice.draw()).collect();
/// assert!(drawn.iter().all(|&topic| topic < 1000));
/// // By Zipf's law the first is twice as popular as the second, and ten times the tenth.
/// let times = |topic| drawn.iter().filter(|&&drawn| drawn == topic).count();
/// assert!(times(0) > times(1) && times(1) > times(9));
/// # Ok::<(), harness::topic_choice::TopicChoiceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopicChoice {
    popularity: Popularity,
    random: Xoshiro256PlusPlus,
}

#[derive(Clone, Debug)]
enum Popularity {
    Uniform(Uniform<u32>),
    Table(WeightedAliasIndex<f64>),
    Zipf(Zipf<f64>),
}

/// What topics cannot be drawn by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct TopicChoiceError {
    /// What the number is.
    pub what: &'static str,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl TopicChoice {
    /// Each of the topics is as popular.
    ///
    /// # Errors
    /// If there are no topics.
    pub fn uniform(topics: u32, seed: u64) -> Result<Self, TopicChoiceError> {
        let uniform = Uniform::new(0, topics).map_err(|_| no_topics())?;
        Ok(Self { popularity: Popularity::Uniform(uniform), random: random::stream(seed, 0) })
    }

    /// Topic `i` is as popular as `1 / (i + 1)^exponent`, by Zipf's law; with an exponent of 0 all
    /// are alike. Drawn from a table (Walker's alias method) or, where that would be large, by
    /// rejection, which is slower.
    ///
    /// # Errors
    /// If there are no topics, or if the exponent is not from 0 to [`EXPONENT_MAX`].
    pub fn zipf(topics: u32, exponent: f64, seed: u64) -> Result<Self, TopicChoiceError> {
        if topics == 0 {
            return Err(no_topics());
        }
        let refused = || TopicChoiceError {
            what: "the exponent of topics' popularity",
            expected: format!("0 to {EXPONENT_MAX}"),
            found: exponent.to_string(),
        };
        if !(0.0..=EXPONENT_MAX).contains(&exponent) {
            return Err(refused());
        }
        let popularity = if topics <= TABLE_TOPICS_MAX {
            let weights = (1..=topics).map(|rank| f64::from(rank).powf(-exponent)).collect();
            Popularity::Table(WeightedAliasIndex::new(weights).map_err(|_| refused())?)
        } else {
            Popularity::Zipf(Zipf::new(f64::from(topics), exponent).map_err(|_| refused())?)
        };
        Ok(Self { popularity, random: random::stream(seed, 0) })
    }

    /// The next message's topic.
    #[inline]
    pub fn draw(&mut self) -> u32 {
        match &self.popularity {
            Popularity::Uniform(uniform) => uniform.sample(&mut self.random),
            Popularity::Table(table) => table.sample(&mut self.random) as u32,
            // A whole number from 1 to the number of topics.
            Popularity::Zipf(zipf) => zipf.sample(&mut self.random) as u32 - 1,
        }
    }
}

fn no_topics() -> TopicChoiceError {
    let (expected, found) = ("at least one".to_owned(), "0".to_owned());
    TopicChoiceError { what: "the number of topics", expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF as _};

    const DRAWS: u32 = 200_000;

    /// How probable it is that draws differ so much from Zipf's law (Pearson's test), topics that
    /// are too rare for the test counted as one.
    fn likelihood(choice: &mut TopicChoice, topics: u32, exponent: f64) -> f64 {
        let weights: Vec<f64> = (1..=topics).map(|rank| f64::from(rank).powf(-exponent)).collect();
        let whole: f64 = weights.iter().sum();
        let mut observed = vec![0u32; topics as usize];
        (0..DRAWS).for_each(|_| observed[choice.draw() as usize] += 1);
        let (mut sum, mut classes, mut rare) = (0.0, 0, (0.0, 0.0));
        let mut add = |observed: f64, expected: f64| {
            sum += (observed - expected).powi(2) / expected;
            classes += 1;
        };
        for (weight, observed) in weights.iter().zip(observed) {
            let expected = weight / whole * f64::from(DRAWS);
            if expected >= 10.0 {
                add(observed.into(), expected);
            } else {
                rare = (rare.0 + f64::from(observed), rare.1 + expected);
            }
        }
        if rare.1 > 0.0 {
            add(rare.0, rare.1);
        }
        ChiSquared::new(f64::from(classes - 1)).unwrap().sf(sum)
    }

    #[test]
    fn topics_are_drawn_by_zipfs_law() {
        for (topics, exponent) in [
            (2, 1.0),
            (1000, 0.5),
            (1000, 1.0),
            (10_000, 1.2),
            (50, 3.0),
            (TABLE_TOPICS_MAX + 1, 1.0),
            (TABLE_TOPICS_MAX + 1, 2.0),
        ] {
            for seed in 0..4 {
                let mut choice = TopicChoice::zipf(topics, exponent, seed).unwrap();
                let likelihood = likelihood(&mut choice, topics, exponent);
                assert!(likelihood > 1e-4, "{topics} by {exponent}, seed {seed}: {likelihood}");
            }
        }
    }

    #[test]
    fn topics_are_drawn_evenly() {
        for seed in 0..10 {
            let mut choice = TopicChoice::uniform(777, seed).unwrap();
            assert!(likelihood(&mut choice, 777, 0.0) > 1e-4, "seed {seed}");
            let mut choice = TopicChoice::zipf(777, 0.0, seed).unwrap();
            assert!(likelihood(&mut choice, 777, 0.0) > 1e-4, "seed {seed}");
        }
    }

    #[test]
    fn the_test_tells_another_law() {
        let mut choice = TopicChoice::zipf(1000, 1.0, 0).unwrap();
        assert!(likelihood(&mut choice, 1000, 1.05) < 1e-9);
    }

    #[test]
    fn a_single_topic_and_very_many_are_drawn() {
        for exponent in [0.0, 1.0, EXPONENT_MAX] {
            assert_eq!(TopicChoice::zipf(1, exponent, 3).unwrap().draw(), 0);
            for topics in [1000, TABLE_TOPICS_MAX, u32::MAX] {
                let mut choice = TopicChoice::zipf(topics, exponent, 3).unwrap();
                assert!((0..10_000).all(|_| choice.draw() < topics));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_was_expected() {
        let refused = |choice: Result<TopicChoice, TopicChoiceError>| {
            choice.map(|_| ()).unwrap_err().to_string()
        };
        let none = "the number of topics: expected at least one, found 0";
        assert_eq!(refused(TopicChoice::uniform(0, 1)), none);
        assert_eq!(refused(TopicChoice::zipf(0, 1.0, 1)), none);
        assert_eq!(
            refused(TopicChoice::zipf(9, -1.0, 1)),
            "the exponent of topics' popularity: expected 0 to 10, found -1"
        );
        assert!(refused(TopicChoice::zipf(9, f64::NAN, 1)).ends_with("found NaN"));
    }
}
