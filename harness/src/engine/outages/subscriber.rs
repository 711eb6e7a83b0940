//! A subscriber that outlives its connection, and takes up where it was if the broker knows it.

use super::OutageRun;
use super::scene::{BackOff, Life, SLICE_NS, Scene, Stage};
use crate::drivers::DriverError;
use crate::engine::line::Line;
use crate::intake::Recorder;
use crate::ledger::Ledger;
use crate::wire::Conversation;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// A subscriber and, while it has one, its connection.
pub(super) struct SubscriberClient<'a> {
    run: &'a OutageRun,
    scene: &'a Scene,
    subscriber: u32,
    /// Of all subscribers: an outage has few, and few messages.
    recorder: &'a Mutex<Recorder>,
    conversation: Option<Box<dyn Conversation>>,
    connection: Option<(Line, Life)>,
    back_off: BackOff,
    ledger: Ledger,
    was_ready: bool,
}

impl<'a> SubscriberClient<'a> {
    pub(super) fn new(
        run: &'a OutageRun,
        scene: &'a Scene,
        subscriber: u32,
        recorder: &'a Mutex<Recorder>,
    ) -> Self {
        Self {
            run,
            scene,
            subscriber,
            recorder,
            conversation: None,
            connection: None,
            back_off: BackOff::new(),
            ledger: Ledger::new(run.publishers as usize),
            was_ready: false,
        }
    }

    /// Receives until nothing that was acknowledged is missing, or all is over.
    pub(super) fn run(mut self) -> Ledger {
        loop {
            match self.scene.stage() {
                Stage::Over => break,
                Stage::Draining if self.has_all() => {
                    self.scene.count_done();
                    break;
                }
                Stage::Connecting | Stage::Sending { .. } | Stage::Draining => {}
            }
            if let Err(error) = self.turn() {
                self.connection = None;
                let goes_on = self.conversation.as_mut().is_some_and(|it| it.handle_lost());
                if !goes_on {
                    self.conversation = None;
                }
                if !self.scene.handle_lost(format!("subscriber {}", self.subscriber), error) {
                    break;
                }
                self.back_off.wait(self.scene);
            }
        }
        self.ledger
    }

    /// What was acknowledged is final once nobody publishes any more.
    fn has_all(&self) -> bool {
        self.ledger.lost(&self.scene.counts.acknowledged()) == 0
    }

    /// Connects, or receives for a moment.
    fn turn(&mut self) -> Result<(), DriverError> {
        if self.connection.is_none() {
            let Some(broker) = self.scene.broker() else { return Ok(()) };
            let conversation = self.conversation.get_or_insert_with(|| {
                broker.driver.returning_subscriber(&self.run.terms, self.subscriber)
            });
            let line = Line::connect(broker.driver.address(), conversation.as_mut())?;
            self.connection = Some((line, broker.life));
        }
        let (Some((line, life)), Some(conversation)) =
            (&mut self.connection, &mut self.conversation)
        else {
            return Ok(());
        };
        if !line.read_within(SLICE_NS)? {
            return Ok(());
        }
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let before = recorder.taken();
        let now_ns = self.scene.clock.now_ns();
        let heard = line.hear(conversation.as_mut(), &mut recorder, &mut self.ledger);
        let delivered = recorder.taken() - before;
        drop(recorder);
        if delivered > 0 {
            self.scene.counts.delivered.fetch_add(delivered, Ordering::Relaxed);
            if *life == Life::After {
                self.scene.counts.first_delivery_ns.fetch_min(now_ns, Ordering::Relaxed);
            }
        }
        if line.tidings.ready {
            self.back_off.reset();
            if !self.was_ready {
                self.was_ready = true;
                self.scene.count_ready();
            }
        }
        heard
    }
}
