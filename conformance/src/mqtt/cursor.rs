//! A strict reader of a received packet's bytes.

use super::{Property, shown};
use std::fmt;

/// What is left of a packet's body.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
}

impl fmt::Display for Cursor<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "in the body {}", shown(self.whole))
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(whole: &'a [u8]) -> Self {
        Self { whole, rest: whole }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        assert!(count <= self.rest.len(), "expected {count} bytes more, found fewer {self}");
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    #[track_caller]
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(self.rest.len())
    }

    #[track_caller]
    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    #[track_caller]
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    #[track_caller]
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    #[track_caller]
    pub(crate) fn variable(&mut self) -> usize {
        let (value, length) = variable(self.rest).expect("a whole variable byte integer");
        self.take(length);
        value
    }

    #[track_caller]
    pub(crate) fn binary(&mut self) -> Vec<u8> {
        let length = self.u16().into();
        self.take(length).to_vec()
    }

    #[track_caller]
    pub(crate) fn text(&mut self) -> String {
        let text = String::from_utf8(self.binary()).expect("UTF-8 in every string");
        assert!(!text.contains('\0'), "expected no U+0000, found {text:?} {self}");
        text
    }

    #[track_caller]
    pub(crate) fn properties(&mut self) -> Vec<Property> {
        let length = self.variable();
        let mut from = Cursor::new(self.take(length));
        let mut properties = Vec::new();
        while !from.is_empty() {
            properties.push(Property::read(&mut from));
        }
        properties
    }

    #[track_caller]
    pub(crate) fn end(&self) {
        assert!(
            self.is_empty(),
            "expected the packet's end, found {} bytes {self}",
            self.rest.len()
        );
    }
}

/// The variable byte integer that `bytes` begin with and how long it is; `None` where more bytes
/// are needed.
#[track_caller]
pub(crate) fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate() {
        assert!(place < 4, "expected at most four bytes of length, found {}", shown(bytes));
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            let shortest = place == 0 || *byte != 0;
            assert!(shortest, "expected the shortest encoding of {value}, found {}", shown(bytes));
            return Some((value, place + 1));
        }
    }
    None
}
