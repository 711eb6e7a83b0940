//! Keeping the journal short: old messages are given up, or moved to its end, so that the
//! segments that they lie in can go.

use crate::{Broker, Wakes};
use protocol::Refusal;

impl Broker {
    /// Gives up all messages that lie before `position` in the journal, whoever may still want
    /// them. Gives how many those were.
    pub fn drop_stored_before(&self, position: u64, wakes: &mut Wakes) -> u64 {
        let topics = self.all_topics();
        topics.iter().map(|topic| topic.drop_stored_before(position, self, wakes)).sum()
    }

    /// Moves the messages that lie in the segment at `segment` to the end of the journal. Those
    /// that are not yet on the medium stay, and so does what the journal has no room for. Gives
    /// how many bytes were moved.
    ///
    /// # Errors
    /// Where the journal failed, or messages cannot be read back.
    pub fn move_stored(&self, segment: u64) -> Result<u64, Refusal> {
        let mut moved_bytes = 0;
        for topic in self.all_topics() {
            moved_bytes += topic.move_stored(segment, self)?;
        }
        Ok(moved_bytes)
    }
}
