//! Which names topics and subscribers may have.

use crate::{Code, Refusal};

/// The longest names that a broker keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameLimits {
    /// Of a topic, in bytes of UTF-8.
    pub topic_bytes_max: usize,
    /// Of a subscriber id, in bytes of UTF-8.
    pub subscriber_bytes_max: usize,
}

/// Checks a topic's name: not empty, not over-long, no control characters.
///
/// # Errors
/// [`Code::TopicNameEmpty`], [`Code::TopicNameTooLong`], [`Code::TopicNameControlCharacter`].
pub fn check_topic_name(name: &str, limits: NameLimits) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::new(
            Code::TopicNameEmpty,
            "expected a topic name of at least one character, found an empty one",
        ));
    }
    if name.len() > limits.topic_bytes_max {
        return Err(Refusal::new(
            Code::TopicNameTooLong,
            format!(
                "expected a topic name of at most {} bytes, found {}; shorten it, or raise topic_name_bytes_max",
                limits.topic_bytes_max,
                name.len()
            ),
        ));
    }
    match name.char_indices().find(|(_, char)| char.is_control()) {
        None => Ok(()),
        Some((at, char)) => Err(Refusal::new(
            Code::TopicNameControlCharacter,
            format!(
                "expected a topic name without control characters, found U+{:04X} at byte {at}",
                u32::from(char)
            ),
        )),
    }
}

/// Checks a subscriber id: not empty, not over-long, no control characters.
///
/// # Errors
/// [`Code::InvalidSubscriber`].
pub fn check_subscriber_id(id: &str, limits: NameLimits) -> Result<(), Refusal> {
    let found = if id.is_empty() {
        "found an empty one".to_owned()
    } else if id.len() > limits.subscriber_bytes_max {
        format!("found {} bytes", id.len())
    } else if let Some(char) = id.chars().find(|char| char.is_control()) {
        format!("found U+{:04X} in it", u32::from(char))
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Code::InvalidSubscriber,
        format!(
            "expected a subscriber id of 1 to {} bytes without control characters, {found}",
            limits.subscriber_bytes_max
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NameLimits = NameLimits { topic_bytes_max: 8, subscriber_bytes_max: 4 };

    fn check(name: &str, expected: Option<Code>) {
        let found = check_topic_name(name, LIMITS).err().map(|refusal| refusal.code);
        assert_eq!(found, expected, "topic name {name:?}");
    }

    #[test]
    fn a_topic_name_is_one_to_the_limit_of_printable_bytes() {
        check("News", None);
        check("Größe", None);
        check("a b/c+#$", None);
        check("", Some(Code::TopicNameEmpty));
        check("123456789", Some(Code::TopicNameTooLong));
        check("a\tb", Some(Code::TopicNameControlCharacter));
        check("a\u{85}b", Some(Code::TopicNameControlCharacter));
    }

    #[test]
    fn a_subscriber_id_is_one_to_the_limit_of_printable_bytes() {
        assert!(check_subscriber_id("sid", LIMITS).is_ok());
        for id in ["", "12345", "a\n"] {
            let refusal = check_subscriber_id(id, LIMITS).expect_err("an impossible id");
            assert_eq!(refusal.code, Code::InvalidSubscriber);
        }
    }
}
