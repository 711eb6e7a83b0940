//! Who waits for the journal: topics that have yet to show messages, sessions that have yet to
//! answer, and publishers that it has no room for.

use super::Journal;
use crate::topic::Topic;
use crate::{Broker, Cause, SessionKey, Wake, Wakes};
use std::sync::{Arc, Mutex, MutexGuard};

/// All who wait. Each entry is for the journal's next progress only.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    topics: Mutex<Vec<Arc<Topic>>>,
    answers: Mutex<Vec<SessionKey>>,
    held: Mutex<Vec<SessionKey>>,
}

impl Commits {
    /// `topic` is told of the next progress. Whoever asks looks at the journal once more
    /// afterwards, since it may just have made some.
    pub(crate) fn tell_topic(&self, topic: &Arc<Topic>) {
        lock(&self.topics).push(Arc::clone(topic));
    }

    /// A session with answers that wait is woken at the next progress; as with
    /// [`tell_topic`](Self::tell_topic).
    pub(crate) fn tell_session(&self, session: SessionKey) {
        lock(&self.answers).push(session);
    }

    /// A publisher is woken when the journal has room for more.
    pub(crate) fn hold(&self, publisher: SessionKey) {
        lock(&self.held).push(publisher);
    }

    /// The journal has reached more, or has failed.
    pub(crate) fn handle_progress(
        &self,
        journal: &dyn Journal,
        broker: &Broker,
        wakes: &mut Wakes,
    ) {
        let reached = journal.reached();
        let topics = std::mem::take(&mut *lock(&self.topics));
        for topic in topics {
            if topic.handle_progress(reached, broker, wakes) {
                self.tell_topic(&topic);
            }
        }
        let wake = |cause| move |session| Wake { session, cause };
        wakes.extend(lock(&self.answers).drain(..).map(wake(Cause::Stored)));
        if journal.has_room() || journal.failure().is_some() {
            wakes.extend(lock(&self.held).drain(..).map(wake(Cause::Room)));
        }
    }
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().expect("no thread panics while it holds a list of those who wait")
}
