//! A run of properties, as they came.

use super::super::fields::Fields;
use super::Property;

/// Properties, encoded, without the length before them.
///
/// What a decoder gives was checked. To build some, write each with [`Property::encode`] and
/// take the bytes with [`Properties::trusted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Properties in bytes that were checked, or written, before.
    ///
    /// Where they are no properties after all, [`Properties::iter`] ends early.
    #[inline]
    #[must_use]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// As they are on the wire.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Each property, in order.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut fields = Fields::new(self.bytes);
        std::iter::from_fn(move || {
            // The end is no fault to be told of.
            if fields.is_empty() {
                return None;
            }
            let id = fields.u8("property identifier").ok()?;
            Property::read(id, &mut fields).ok()
        })
    }
}
