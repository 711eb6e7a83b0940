//! Back-pressure: how a topic's publishers are held while a connected subscriber is about to be
//! overtaken by retention, and what becomes of the subscriber when that takes too long.
//!
//! Publishers are held until every connected subscriber has read the older half of the log, so
//! that a hand-over from held to running is rare. That may take `publisher_hold_ms_max` at most.
//! A subscriber that needs longer is overtaken: it is not waited for again until it has caught up
//! to the newer half.

use super::state::State;
use super::subscriptions::{Attachment, Grip, SubscriptionKey};
use crate::{Broker, Cause, Now, SessionKey, Wake, Wakes};
use protocol::{Code, LagPolicy};

/// A publisher that waits for as long as it takes asks again after so long at the earliest.
const RETRY_MS_MIN: u64 = 100;

/// Publishers that wait for room.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) sessions: Vec<SessionKey>,
    since: Now,
    /// They go on when all that are waited for have read up to here.
    pub(super) resume_offset: u64,
}

/// Whether messages may be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// Someone still has to read them; to be asked again at the latest then.
    Held {
        until: Now,
    },
}

impl State {
    /// Whether the messages before `offset` may go; if not, `publisher` is woken when they may.
    pub(super) fn ask_leave(
        &mut self,
        offset: u64,
        publisher: SessionKey,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Leave {
        let hold_ms_max = broker.limits().publisher_hold_ms_max;
        if offset <= self.floor {
            return self.grant(publisher);
        }
        self.floor = self.needed_floor();
        if offset <= self.floor {
            return self.grant(publisher);
        }
        let resume_offset = self.log.middle_offset().max(offset);
        let hold =
            self.hold.get_or_insert(Hold { sessions: Vec::new(), since: now, resume_offset });
        let deadline = hold.since.plus_ms(hold_ms_max);
        let mut until = deadline;
        if now >= deadline {
            self.give_up_on_laggards(offset, broker, wakes);
            self.floor = self.needed_floor();
            if offset <= self.floor {
                self.release(wakes);
                return Leave::Granted;
            }
            until = now.plus_ms(hold_ms_max.max(RETRY_MS_MIN));
        }
        let hold = self.hold.as_mut().expect("it was made above, and only a grant removes it");
        if now >= deadline {
            // Whoever is still waited for asked to be; others do not add to that.
            hold.resume_offset = offset;
        }
        if !hold.sessions.contains(&publisher) {
            hold.sessions.push(publisher);
        }
        Leave::Held { until }
    }

    /// Offset of the oldest message that a connected subscriber is waited for with.
    pub(super) fn needed_floor(&self) -> u64 {
        let waited_for = self.subscriptions.attached().filter(|(.., a)| !a.overrun);
        waited_for
            .map(|(_, subscription, _)| subscription.needed_offset())
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Those who still need messages before `offset` had their time.
    fn give_up_on_laggards(&mut self, offset: u64, broker: &Broker, wakes: &mut Wakes) {
        let laggards: Vec<(Grip, LagPolicy)> = self
            .subscriptions
            .attached()
            .filter(|(_, subscription, a)| !a.overrun && subscription.needed_offset() < offset)
            .map(|(grip, _, attachment)| (grip, attachment.push.lag_policy))
            .collect();
        for (grip, policy) in laggards {
            match policy {
                LagPolicy::Hold => {}
                LagPolicy::Skip => {
                    if let Some(attachment) = self.subscriptions.attachment(grip) {
                        attachment.overrun = true;
                    }
                }
                LagPolicy::Disconnect => self.cut_off(grip, broker, wakes),
            }
        }
    }

    /// Ends the attachment of a laggard, and the subscription where its lifetime was the
    /// connection's.
    fn cut_off(&mut self, grip: Grip, broker: &Broker, wakes: &mut Wakes) {
        let lifetime = self.subscriptions.attachment(grip).map(|found| found.push.lifetime);
        self.end_attachment(grip, Code::Lagging, wakes);
        self.remove_with(lifetime, grip.key, broker);
    }

    /// Detaches the connection of a subscription and tells it why.
    pub(super) fn end_attachment(&mut self, grip: Grip, code: Code, wakes: &mut Wakes) {
        if let Some(attachment) = self.subscriptions.detach(grip) {
            self.give_back(grip, wakes);
            wakes.push(ended(&attachment, code));
        }
    }

    /// A reader that needed messages from `before` on needs them from `after` on.
    pub(super) fn reader_moved(
        &mut self,
        key: SubscriptionKey,
        before: u64,
        after: u64,
        wakes: &mut Wakes,
    ) {
        let caught_up = after >= self.log.middle_offset();
        for attachment in &mut self.subscriptions.at(key).attachments {
            if attachment.overrun && caught_up {
                attachment.overrun = false;
                self.floor = self.floor.min(after);
            }
        }
        if self.hold.as_ref().is_some_and(|h| before < h.resume_offset && h.resume_offset <= after)
        {
            self.settle_hold(wakes);
        }
    }

    /// Lets the held publishers go on where none is waited for any more.
    pub(super) fn settle_hold(&mut self, wakes: &mut Wakes) {
        let Some(hold) = &self.hold else { return };
        if self.needed_floor() >= hold.resume_offset {
            self.release(wakes);
        }
    }

    /// Lets the held publishers ask again, with all their time before them.
    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.wake_held(wakes);
        self.hold = None;
    }

    /// Lets the held publishers ask again. The time that they were held counts on, since it was
    /// not their readers who made room.
    pub(super) fn wake_held(&mut self, wakes: &mut Wakes) {
        let held = self.hold.iter().flat_map(|hold| &hold.sessions);
        wakes.extend(held.map(|session| Wake { session: *session, cause: Cause::Room }));
    }

    /// There is room for `publisher` without asking.
    pub(super) fn grant(&mut self, publisher: SessionKey) -> Leave {
        self.forget_publisher(publisher);
        Leave::Granted
    }

    /// A publisher waits no longer; a hold that holds nobody is over.
    pub(super) fn forget_publisher(&mut self, publisher: SessionKey) {
        if let Some(hold) = &mut self.hold {
            hold.sessions.retain(|session| *session != publisher);
            self.hold.take_if(|hold| hold.sessions.is_empty());
        }
    }
}

/// The wake that tells a connection that its push subscription is over.
pub(super) fn ended(attachment: &Attachment, code: Code) -> Wake {
    let cause = Cause::Ended { subscription: attachment.number, attachment: attachment.id, code };
    Wake { session: attachment.session, cause }
}
