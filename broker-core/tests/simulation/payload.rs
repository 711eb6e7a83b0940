//! The payload of a message, told in few letters.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// What stands behind the letters that tell one payload from all others. JSON has to escape it.
pub(crate) const FILLER: u8 = b'"';

/// Letters told at most.
const LETTERS_MAX: usize = 16;

/// What a message holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(Rc<[u8]>);

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Rc::from(bytes))
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.split(|byte| *byte == FILLER).next().unwrap_or_default();
        let name = &name[..name.len().min(LETTERS_MAX)];
        write!(f, "{} {} B", name.escape_ascii(), self.len())
    }
}
