//! Bytes received and not yet taken: the incomplete request that a read ended in.

/// Memory that an empty input may keep.
const REST_BYTES_MAX: usize = 1024;

/// What one connection received and its session did not take yet.
///
/// Reads go into a scratch buffer that a thread shares among its connections, so that a
/// connection at rest has none of its own; only what is left over is kept here.
#[derive(Debug, Default)]
pub struct Input {
    kept: Vec<u8>,
}

impl Input {
    /// Nothing received.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Reads once with `read`, and offers all that was received to `take`, which gives how much
    /// it took. Gives how many bytes `read` read, and how many it could have.
    ///
    /// # Errors
    /// Those of `read`; what is kept stays.
    pub fn receive<E>(
        &mut self,
        scratch: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<Received, E> {
        let kept_bytes = self.kept.len();
        if kept_bytes > scratch.len() / 2 {
            return self.receive_large(scratch.len(), read, take);
        }
        let room = &mut scratch[kept_bytes..];
        let room_bytes = room.len();
        let bytes = read(room)?;
        scratch[..kept_bytes].copy_from_slice(&self.kept);
        let received = &scratch[..kept_bytes + bytes];
        let taken = take(received);
        self.kept.clear();
        self.kept.extend_from_slice(&received[taken..]);
        self.rest();
        Ok(Received { bytes, room_bytes })
    }

    /// A large request is read where it is kept, so that it is not copied for each read.
    fn receive_large<E>(
        &mut self,
        room_bytes_min: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<Received, E> {
        let kept_bytes = self.kept.len();
        let room_bytes = room_bytes_min.max(kept_bytes / 2);
        self.kept.resize(kept_bytes + room_bytes, 0);
        let result = read(&mut self.kept[kept_bytes..]);
        self.kept.truncate(kept_bytes + *result.as_ref().unwrap_or(&0));
        let bytes = result?;
        self.offer(take);
        Ok(Received { bytes, room_bytes })
    }

    /// Offers what is kept to `take` again, which gives how much it took.
    pub fn offer(&mut self, take: impl FnOnce(&[u8]) -> usize) {
        let taken = take(&self.kept);
        self.kept.drain(..taken);
        self.rest();
    }

    fn rest(&mut self) {
        if self.kept.is_empty() && self.kept.capacity() > REST_BYTES_MAX {
            self.kept = Vec::new();
        }
    }
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes read; 0 at the end of the stream.
    pub bytes: usize,
    /// Bytes that could have been read.
    pub room_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    proptest! {
        #[test]
        fn what_is_not_taken_is_offered_again_in_order(
            stream in proptest::collection::vec(any::<u8>(), 0..400),
            reads in proptest::collection::vec(1usize..50, 1..20),
            takes in proptest::collection::vec(0usize..60, 1..20),
        ) {
            let mut input = Input::new();
            let (mut rest, mut taken) = (&stream[..], Vec::new());
            let mut reads = reads.iter().cycle();
            let mut takes = takes.iter().cycle();
            while !rest.is_empty() {
                let mut scratch = [0; 16];
                let length = *reads.next().expect("a cycle");
                let wanted = *takes.next().expect("a cycle");
                input.receive(
                    &mut scratch,
                    |room| {
                        let bytes = room.len().min(length).min(rest.len());
                        room[..bytes].copy_from_slice(&rest[..bytes]);
                        rest = &rest[bytes..];
                        Ok::<_, Infallible>(bytes)
                    },
                    |offered| {
                        let bytes = wanted.min(offered.len());
                        taken.extend_from_slice(&offered[..bytes]);
                        bytes
                    },
                ).expect("infallible");
            }
            input.offer(|offered| {
                taken.extend_from_slice(offered);
                offered.len()
            });
            prop_assert!(input.is_empty());
            prop_assert_eq!(taken, stream);
        }
    }
}
