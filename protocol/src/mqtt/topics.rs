//! Topic names, topic filters, and which names a filter matches (MQTT 5.0 §4.7).

/// The longest name or filter, in bytes: what a text's length field can say.
pub const TOPIC_BYTES_MAX: usize = u16::MAX as usize;

/// Why a text is no topic name, or no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing is there ([MQTT-4.7.3-1]).
    #[error("expected at least one character, found none")]
    Empty,
    /// Longer than a text may be ([MQTT-4.7.3-3]).
    #[error("expected at most {TOPIC_BYTES_MAX} bytes, found {bytes}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// U+0000 ([MQTT-4.7.3-2]).
    #[error("expected no U+0000, found one at byte {at}")]
    ZeroCharacter {
        /// Where.
        at: usize,
    },
    /// A wildcard in a topic name ([MQTT-4.7.0-1]).
    #[error("expected a topic name without wildcards, found one at byte {at}")]
    Wildcard {
        /// Where.
        at: usize,
    },
    /// A wildcard that is not a whole level ([MQTT-4.7.1-1], [MQTT-4.7.1-2]).
    #[error("expected a wildcard to be a whole level, found {level:?} at level {index}")]
    PartOfLevel {
        /// The wildcard.
        level: char,
        /// Which level, the first being 0.
        index: usize,
    },
    /// A `#` that is not the last level ([MQTT-4.7.1-1]).
    #[error("expected # as the last level only, found it at level {index}")]
    NotLast {
        /// Which level, the first being 0.
        index: usize,
    },
    /// A shared subscription without a name, or with a wildcard in it ([MQTT-4.8.2-1]).
    #[error("expected $share/, a name without + and #, and / and a filter; found another name")]
    ShareName,
    /// A shared subscription without a filter ([MQTT-4.8.2-2]).
    #[error("expected $share/, a name, and / and a filter; found no filter")]
    ShareFilter,
}

/// Checks a topic name.
///
/// # Errors
/// [`TopicError`] says what it is not.
pub fn check_topic(name: &str) -> Result<(), TopicError> {
    check_text(name)?;
    match memchr::memchr2(b'+', b'#', name.as_bytes()) {
        None => Ok(()),
        Some(at) => Err(TopicError::Wildcard { at }),
    }
}

/// Checks a topic filter, or that of a shared subscription with its `$share/{name}/`.
///
/// # Errors
/// [`TopicError`] says what it is not.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    Filter::parse(filter).map(|_| ())
}

/// A topic filter that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// The name of a shared subscription (§4.8.2).
    pub share: Option<&'a str>,
    /// The filter itself.
    pub levels: &'a str,
}

impl<'a> Filter<'a> {
    /// Takes `filter` apart: `{levels}`, or `$share/{share}/{levels}`.
    ///
    /// # Errors
    /// [`TopicError`] says what it is not.
    pub fn parse(filter: &'a str) -> Result<Self, TopicError> {
        check_text(filter)?;
        let Some(shared) = filter.strip_prefix("$share/") else {
            check_levels(filter)?;
            return Ok(Self { share: None, levels: filter });
        };
        let (share, levels) = shared.split_once('/').ok_or(TopicError::ShareFilter)?;
        if share.is_empty() || share.contains(['+', '#']) {
            return Err(TopicError::ShareName);
        }
        if levels.is_empty() {
            return Err(TopicError::ShareFilter);
        }
        check_levels(levels)?;
        Ok(Self { share: Some(share), levels })
    }

    /// Whether it may match more than one topic.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        memchr::memchr2(b'+', b'#', self.levels.as_bytes()).is_some()
    }
}

/// Whether `filter`, without `$share/{name}/`, matches `topic`. Both must have been checked.
///
/// A wildcard at the first level does not match what starts with `$` (§4.7.2).
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            // Which stands for its parent level too (§4.7.1.2).
            return true;
        }
        match names.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

fn check_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::TooLong { bytes: text.len() });
    }
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(()),
        Some(at) => Err(TopicError::ZeroCharacter { at }),
    }
}

fn check_levels(filter: &str) -> Result<(), TopicError> {
    let mut levels = filter.split('/').enumerate().peekable();
    while let Some((index, level)) = levels.next() {
        if let Some(wildcard) = level.chars().find(|char| matches!(char, '+' | '#')) {
            if level.len() > 1 {
                return Err(TopicError::PartOfLevel { level: wildcard, index });
            }
            if wildcard == '#' && levels.peek().is_some() {
                return Err(TopicError::NotLast { index });
            }
        }
    }
    Ok(())
}
