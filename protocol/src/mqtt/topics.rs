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
    #[error(
        "expected wildcards to be whole levels, found {wildcard} beside others at level {index}"
    )]
    PartOfLevel {
        /// Which.
        wildcard: char,
        /// Which level, the first being 0.
        index: usize,
    },
    /// A `#` that is not the last level ([MQTT-4.7.1-1]).
    #[error("expected # as the last level only, found it at level {index}")]
    NotLast {
        /// Which level, the first being 0.
        index: usize,
    },
    /// A shared subscription without a name, or with a wildcard in it ([MQTT-4.8.2-1],
    /// [MQTT-4.8.2-2]).
    #[error("expected behind $share/ a name without + and #, found none or another")]
    ShareName,
    /// A shared subscription without a filter ([MQTT-4.8.2-2]).
    #[error("expected behind $share/ a name, / and a filter, found no filter")]
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
                return Err(TopicError::PartOfLevel { wildcard, index });
            }
            if wildcard == '#' && levels.peek().is_some() {
                return Err(TopicError::NotLast { index });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_topic_is_text_without_wildcards() {
        for name in ["a", "/", "//", " ", "a/b", "$SYS/x", "\u{10FFFF}", &"x".repeat(65535)] {
            assert_eq!(check_topic(name), Ok(()), "{name:?}");
        }
        let cases = [
            ("", TopicError::Empty),
            ("a\0", TopicError::ZeroCharacter { at: 1 }),
            ("a/+", TopicError::Wildcard { at: 2 }),
            ("a#", TopicError::Wildcard { at: 1 }),
            (&"x".repeat(65536), TopicError::TooLong { bytes: 65536 }),
        ];
        for (name, error) in cases {
            assert_eq!(check_topic(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn wildcards_are_whole_levels_and_a_number_sign_is_the_last() {
        let filters =
            ["#", "+", "/", "/#", "+/+", "a/+/b", "a/#", "+/a/#", "$SYS/#", "$share", "$shared/a"];
        for filter in filters {
            assert_eq!(Filter::parse(filter), Ok(Filter { share: None, levels: filter }));
        }
        let cases = [
            ("", TopicError::Empty),
            ("a\0", TopicError::ZeroCharacter { at: 1 }),
            ("#/a", TopicError::NotLast { index: 0 }),
            ("a/#/", TopicError::NotLast { index: 1 }),
            ("a#", TopicError::PartOfLevel { wildcard: '#', index: 0 }),
            ("a/b+", TopicError::PartOfLevel { wildcard: '+', index: 1 }),
            ("a/++", TopicError::PartOfLevel { wildcard: '+', index: 1 }),
            ("##", TopicError::PartOfLevel { wildcard: '#', index: 0 }),
            (&"x".repeat(65536), TopicError::TooLong { bytes: 65536 }),
        ];
        for (filter, error) in cases {
            assert_eq!(check_filter(filter), Err(error), "{filter:?}");
        }
    }

    #[test]
    fn a_shared_subscription_has_a_name_and_a_filter() {
        let cases = [
            ("$share/group/a/+", "group", "a/+"),
            ("$share/g/#", "g", "#"),
            ("$share/g//", "g", "/"),
            ("$share/$share/$share/g/a", "$share", "$share/g/a"),
        ];
        for (filter, share, levels) in cases {
            assert_eq!(Filter::parse(filter), Ok(Filter { share: Some(share), levels }));
        }
        let cases = [
            ("$share/", TopicError::ShareFilter),
            ("$share/g", TopicError::ShareFilter),
            ("$share/g/", TopicError::ShareFilter),
            ("$share//a", TopicError::ShareName),
            ("$share/g+/a", TopicError::ShareName),
            ("$share/#/a", TopicError::ShareName),
            ("$share/g/a#", TopicError::PartOfLevel { wildcard: '#', index: 0 }),
        ];
        for (filter, error) in cases {
            assert_eq!(check_filter(filter), Err(error), "{filter:?}");
        }
    }

    #[test]
    fn filters_match_as_in_the_examples_of_the_standard() {
        let matching = [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a/b"),
            ("#", "/"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("+", "finance"),
            ("$SYS/#", "$SYS/broker"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
            ("a/+", "a/$b"),
            ("a//b", "a//b"),
        ];
        for (filter, topic) in matching {
            assert!(matches(filter, topic), "{filter} matches {topic}");
        }
        let different = [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("a", "A"),
            ("a", "/a"),
            ("a/b", "a"),
            ("a", "a/b"),
            ("sport/#", "sports"),
        ];
        for (filter, topic) in different {
            assert!(!matches(filter, topic), "{filter} does not match {topic}");
        }
    }

    /// The rules of §4.7.1 and §4.7.2, level by level.
    fn matches_by_the_book(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) | (["#"], _) => true,
            (["+", filter @ ..], [_, topic @ ..]) => matches_by_the_book(filter, topic),
            ([level, filter @ ..], [name, topic @ ..]) => {
                level == name && matches_by_the_book(filter, topic)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn filters_match_by_the_book(filter in "[ab+/$]{1,8}(/#)?|#", topic in "[ab/$]{1,8}") {
            prop_assume!(check_filter(&filter).is_ok());
            let levels: Vec<_> = filter.split('/').collect();
            let names: Vec<_> = topic.split('/').collect();
            let hidden = topic.starts_with('$') && ["+", "#"].contains(&levels[0]);
            let expected = !hidden && matches_by_the_book(&levels, &names);
            prop_assert_eq!(matches(&filter, &topic), expected);
        }

        #[test]
        fn every_topic_is_a_filter_that_matches_it(topic in "[^\u{0}+#]{1,20}") {
            prop_assert_eq!(check_topic(&topic), Ok(()));
            if !topic.starts_with("$share/") {
                prop_assert_eq!(check_filter(&topic), Ok(()));
            }
            prop_assert!(matches(&topic, &topic));
        }
    }
}
