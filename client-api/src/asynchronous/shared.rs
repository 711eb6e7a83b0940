//! What the clones of a client share with the task that owns the connection.

use crate::session::{Answer, Event, Session, SubscriptionId, Ticket};
use crate::{Error, Messages, Options, Pushed, Refusal};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

/// Refusals of unacknowledged publications that are kept; the oldest are dropped.
const REFUSALS_MAX: usize = 64;

/// Shared by the driving task and all handles.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told whenever there may be fewer requests in flight.
    pub(super) answered: Arc<Notify>,
    /// One permit for each request that may be in flight.
    pub(super) room: Arc<Semaphore>,
    /// Told whenever output was written or dropped.
    pub(super) written: Notify,
    pub(super) options: Options,
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        let answered = Arc::new(Notify::new());
        Self {
            state: Mutex::new(State::new(&options, Arc::clone(&answered))),
            answered,
            room: Arc::new(Semaphore::new(options.in_flight_max.min(Semaphore::MAX_PERMITS))),
            written: Notify::new(),
            options,
        }
    }

    /// The state is whole at every point where a panic is possible, so poison tells nothing.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all clones and subscriptions of one client hold: with the last, the task ends.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.close_by = Some(Instant::now() + self.shared.options.request_timeout);
        state.wake_driver();
    }
}

/// Who waits for an answer, and the permit that is free again with it.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Result<Answer, Error>>,
    _permit: OwnedSemaphorePermit,
}

/// What came for one push subscription. Its credit window bounds how much that can be.
#[derive(Debug, Default)]
struct Inbox {
    arrivals: VecDeque<Result<Pushed<Messages>, Error>>,
    consumer: Option<Waker>,
}

/// The session, and who waits for what it says.
#[derive(Debug)]
pub(super) struct State {
    pub(super) session: Session,
    waiting: HashMap<Ticket, Waiting>,
    inboxes: HashMap<SubscriptionId, Inbox>,
    refusals: VecDeque<Refusal>,
    /// Told whenever there may be fewer requests in flight.
    answered: Arc<Notify>,
    driver: Option<Waker>,
    /// Set when the last handle is gone: until when output may still be written.
    pub(super) close_by: Option<Instant>,
    /// Whether the driving task is gone, as when its runtime has ended.
    driver_gone: bool,
    /// How many times the connection was given up: what was buffered then is gone.
    pub(super) given_up: u64,
}

impl State {
    fn new(options: &Options, answered: Arc<Notify>) -> Self {
        Self {
            session: Session::new(options),
            waiting: HashMap::new(),
            inboxes: HashMap::new(),
            refusals: VecDeque::new(),
            answered,
            driver: None,
            close_by: None,
            driver_gone: false,
            given_up: 0,
        }
    }

    /// Has the driving task look at the session again.
    pub(super) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// The driving task is to be woken when something is asked for.
    pub(super) fn set_driver(&mut self, context: &Context<'_>) {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(context.waker())) {
            self.driver = Some(context.waker().clone());
        }
    }

    /// The answer to `ticket`, when it comes.
    pub(super) fn expect_answer(
        &mut self,
        ticket: Ticket,
        permit: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Result<Answer, Error>> {
        let (answer, receiver) = oneshot::channel();
        if !self.driver_gone {
            self.waiting.insert(ticket, Waiting { answer, _permit: permit });
        }
        receiver
    }

    /// No answer will come to anyone.
    pub(super) fn handle_driver_gone(&mut self) {
        self.driver_gone = true;
        self.session.handle_gave_up("the task that owned the connection is gone");
        self.given_up += 1;
        // Whoever waits for an answer finds its sender dropped; subscriptions are told the end.
        self.waiting.clear();
        let dispatched = self.dispatch();
        debug_assert!(dispatched.is_ok(), "no input, yet {dispatched:?}");
    }

    /// When the driving task should look at the session at the latest.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        [self.session.poll_deadline(), self.close_by].into_iter().flatten().min()
    }

    pub(super) fn open_inbox(&mut self, subscription: SubscriptionId) {
        self.inboxes.insert(subscription, Inbox::default());
    }

    pub(super) fn close_inbox(&mut self, subscription: SubscriptionId) {
        self.inboxes.remove(&subscription);
    }

    /// The next that came for a subscription; its credit is given back.
    pub(super) fn poll_inbox(
        &mut self,
        subscription: SubscriptionId,
        context: &Context<'_>,
    ) -> Poll<Option<Result<Pushed<Messages>, Error>>> {
        let Some(inbox) = self.inboxes.get_mut(&subscription) else { return Poll::Ready(None) };
        let Some(arrival) = inbox.arrivals.pop_front() else {
            inbox.consumer = Some(context.waker().clone());
            return Poll::Pending;
        };
        match &arrival {
            Ok(Pushed::Delivered(messages)) => {
                if self.session.handle_consumed(subscription, messages.records_bytes()) {
                    self.wake_driver();
                }
            }
            Ok(Pushed::Lost(_)) => {}
            Err(_) => self.close_inbox(subscription),
        }
        Poll::Ready(Some(arrival))
    }

    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        self.refusals.drain(..).collect()
    }

    /// Hands what happened to those who wait for it.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(super) fn dispatch(&mut self) -> Result<(), Error> {
        while let Some(event) = self.session.poll_event()? {
            match event {
                Event::Greeted => {}
                Event::Answered { ticket, result } => {
                    if let Some(waiting) = self.waiting.remove(&ticket) {
                        // Who dropped the receiver gave the answer up.
                        let _given_up = waiting.answer.send(result);
                    }
                }
                Event::Delivered { subscription, run } => {
                    let messages = Messages::new(run, self.session.take_records());
                    self.arrive(subscription, Ok(Pushed::Delivered(messages)));
                }
                Event::Lost { subscription, lost } => {
                    self.arrive(subscription, Ok(Pushed::Lost(lost)));
                }
                Event::Ended { subscription, error } => self.arrive(subscription, Err(error)),
                Event::RefusedUnasked(refusal) => {
                    if self.refusals.len() == REFUSALS_MAX {
                        self.refusals.pop_front();
                    }
                    self.refusals.push_back(refusal);
                }
            }
        }
        self.answered.notify_waiters();
        Ok(())
    }

    fn arrive(&mut self, subscription: SubscriptionId, arrival: Result<Pushed<Messages>, Error>) {
        if let Some(inbox) = self.inboxes.get_mut(&subscription) {
            inbox.arrivals.push_back(arrival);
            if let Some(consumer) = inbox.consumer.take() {
                consumer.wake();
            }
        }
    }
}
