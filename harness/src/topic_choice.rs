//! Which of a stream's topics a publication goes to.

/// Chooses topics.
#[derive(Clone, Debug)]
pub enum TopicChoice {
    /// The only one.
    Single,
}

impl TopicChoice {
    /// The next publication's topic.
    #[inline]
    pub fn next(&mut self) -> u32 {
        match self {
            Self::Single => 0,
        }
    }
}
