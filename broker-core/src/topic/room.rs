//! Making room in a topic's log for what comes.

use super::hold::Leave;
use super::state::State;
use crate::{Broker, Now, SessionKey, Wakes};
use protocol::Refusal;
use protocol::batch::too_large;

/// What is about to be appended.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) count: u32,
    pub(super) bytes: usize,
}

impl State {
    /// Takes away the oldest messages until `wanted` fits, as far as connected subscribers leave
    /// them.
    pub(super) fn make_room(
        &mut self,
        wanted: Wanted,
        publisher: SessionKey,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Leave, Refusal> {
        if wanted.bytes > self.bounds.bytes_max {
            return Err(too_large(wanted.bytes, self.bounds.bytes_max));
        }
        // Before anything goes, since all logs' sum does not know yet of what goes here.
        let memory = match self.log.is_stored() {
            true => usize::MAX,
            false => self.log.bytes().saturating_add(broker.memory_free()),
        };
        let bytes_max = self.bounds.bytes_max.min(memory);
        self.trim_older(now, wakes);
        if wanted.bytes > bytes_max {
            return Err(broker.memory_full());
        }
        loop {
            let held = self.log.count();
            let over_bytes = self.log.bytes().saturating_add(wanted.bytes) > bytes_max;
            let over_count =
                (held + u64::from(wanted.count)).saturating_sub(self.bounds.messages_max);
            let offset = match (over_bytes, over_count) {
                (false, 0) => return Ok(self.grant(publisher)),
                _ if held == 0 => return Ok(self.grant(publisher)),
                (true, _) => self.log.first_piece_end(),
                (false, over) => self.log.first_offset() + over.min(held),
            };
            let leave = self.ask_leave(offset, publisher, now, broker, wakes);
            if leave != Leave::Granted {
                return Ok(leave);
            }
            self.log.trim_before(offset);
        }
    }

    /// Takes away what is over the bounds, of a topic that nobody is connected to yet.
    pub(super) fn trim_to_bounds(&mut self, now: Now) {
        if let Some(age_ms_max) = self.bounds.age_ms_max {
            self.log.trim_older(age_ms_max, now);
        }
        let kept = self.log.next_offset().saturating_sub(self.bounds.messages_max);
        self.log.trim_before(kept);
        while self.log.count() > 0 && self.log.bytes() > self.bounds.bytes_max {
            self.log.trim_before(self.log.first_piece_end());
        }
    }

    /// Gives up what lies before `position` in the journal. Gives how many messages those were.
    pub(super) fn drop_stored_before(&mut self, position: u64, wakes: &mut Wakes) -> u64 {
        let before = self.log.first_offset();
        let offset = self.log.stored().map_or(0, |stored| stored.first_from(position));
        // What is not shown yet is not given up before it ever was.
        self.log.trim_before(offset.min(self.log.visible_offset()));
        let dropped = self.log.first_offset() - before;
        if dropped > 0 {
            self.wake_held(wakes);
        }
        dropped
    }

    /// Gives up the older half of the messages, as far as no connected subscriber needs them.
    pub(super) fn give_up_half(&mut self, wakes: &mut Wakes) {
        let before = self.log.first_offset();
        // One that is all in one piece goes as a whole.
        let middle = match self.log.middle_offset() {
            middle if middle > before => middle,
            _ => self.log.next_offset(),
        };
        self.log.trim_before(middle.min(self.needed_floor()));
        if self.log.first_offset() > before {
            self.wake_held(wakes);
        }
    }

    /// Takes away what is too old; publishers that waited for room may have it.
    pub(super) fn trim_older(&mut self, now: Now, wakes: &mut Wakes) {
        let Some(age_ms_max) = self.bounds.age_ms_max else { return };
        let before = self.log.first_offset();
        self.log.trim_older(age_ms_max, now);
        if self.log.first_offset() > before {
            self.wake_held(wakes);
        }
    }
}
