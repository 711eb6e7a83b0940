//! What an acknowledgement promises, as configurations name it.

use measure::GuaranteeClass;

/// The texts that configurations had before there were classes.
pub(super) const FORMER_TEXTS: [(&str, GuaranteeClass); 4] = [
    ("none", GuaranteeClass::AtMostOnce),
    ("in memory", GuaranteeClass::InMemory),
    ("synced within 1 s", GuaranteeClass::OperatingSystem),
    ("after fdatasync", GuaranteeClass::Synced),
];

/// The class of that name, or of the text that stood for it before there were classes.
pub(super) fn class_of(text: &str) -> Option<GuaranteeClass> {
    let classes = GuaranteeClass::ALL.map(|class| (class.name(), class));
    let known = classes.into_iter().chain(FORMER_TEXTS);
    known.into_iter().find(|(name, _)| *name == text).map(|(_, class)| class)
}
