//! The fields of a frame's body: a reader that rejects what is short and what is left over.

use crate::{Code, Refusal};
use bytes::BufMut;

/// Reads a body's fields in order.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn take<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Refusal> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(|| {
            malformed(format!("expected {N} bytes of {name}, found {}", self.rest.len()))
        })?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self, name: &'static str) -> Result<u8, Refusal> {
        self.take::<1>(name).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, name: &'static str) -> Result<u16, Refusal> {
        self.take(name).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, name: &'static str) -> Result<u32, Refusal> {
        self.take(name).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, name: &'static str) -> Result<u64, Refusal> {
        self.take(name).map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self, name: &'static str) -> Result<u128, Refusal> {
        self.take(name).map(u128::from_le_bytes)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<&'a str, Refusal> {
        let length = usize::from(self.u16(name)?);
        let (head, tail) = self.rest.split_at_checked(length).ok_or_else(|| {
            malformed(format!("expected {length} bytes of {name}, found {}", self.rest.len()))
        })?;
        self.rest = tail;
        utf8(head, name)
    }

    /// As many texts as a `u32` says.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<&'a str>, Refusal> {
        let count = self.u32(name)? as usize;
        // Each text is at least its length field, so a false count cannot reserve much.
        let mut texts = Vec::with_capacity(count.min(self.rest.len() / 2));
        for _ in 0..count {
            texts.push(self.text(name)?);
        }
        Ok(texts)
    }

    /// How many bytes are left.
    pub(super) fn left_bytes(&self) -> usize {
        self.rest.len()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(malformed(format!("expected the frame to end, found {left} bytes more"))),
        }
    }
}

/// `bytes` as text.
pub(super) fn utf8<'a>(bytes: &'a [u8], name: &'static str) -> Result<&'a str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| {
        Refusal::new(
            Code::InvalidUtf8,
            format!("expected {name} in UTF-8, found another byte at {}", error.valid_up_to()),
        )
    })
}

pub(super) fn malformed(message: String) -> Refusal {
    Refusal::new(Code::MalformedFrame, message)
}

/// Writes text, cut at a character's boundary where it is longer than its length field can say.
pub(super) fn put_text(out: &mut impl BufMut, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.put_u16_le(text.len() as u16);
    out.put_slice(text.as_bytes());
}

pub(super) fn put_texts(out: &mut impl BufMut, texts: &[&str]) {
    out.put_u32_le(texts.len() as u32);
    for text in texts {
        put_text(out, text);
    }
}

pub(super) fn text_bytes(text: &str) -> usize {
    2 + text.floor_char_boundary(usize::from(u16::MAX))
}

pub(super) fn texts_bytes(texts: &[&str]) -> usize {
    4 + texts.iter().map(|text| text_bytes(text)).sum::<usize>()
}
