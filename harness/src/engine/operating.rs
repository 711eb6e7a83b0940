//! What the clients of one generator thread ask, one request outstanding each, and what came of it.

use super::Extent;
use super::board::{Board, Stage};
use super::operations::OperationLoad;
use crate::drivers::{DriverError, Operation};
use crate::wire::{Operator, Request};
use measure::LatencyHistogram;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A client that asks and waits.
pub(super) struct OperatorRole {
    pub(super) conversation: Box<dyn Operator>,
    script: Script,
    asked_ns: Option<u64>,
    /// It has nothing more to ask in this stage.
    done: bool,
}

/// What one client asks, stage by stage.
struct Script {
    load: Arc<OperationLoad>,
    payload: Arc<Vec<u8>>,
    /// The topic or subscriber of the next request.
    name: String,
    prefix: String,
    shared: String,
    /// Topics, subscriptions or messages that it may use up.
    items: u64,
    used: u64,
    /// Asked in this stage.
    asked: u64,
}

impl Script {
    /// Whether there is something to ask; its name is made ready.
    fn advance(&mut self, stage: Stage, elapsed_ns: u64) -> bool {
        let is_left = match stage {
            Stage::Prepare => match self.load.operation {
                Operation::Pull => self.asked == 0,
                Operation::Delete => self.asked < self.items,
                Operation::Create | Operation::Publish | Operation::Subscribe => false,
            },
            Stage::WarmUp => {
                let within = match self.load.extent {
                    _ if self.load.warmup_ns == 0 => false,
                    Extent::Count(count) => self.asked < warmup_items(count),
                    Extent::DurationNs(_) => elapsed_ns < self.load.warmup_ns,
                };
                let items = match self.load.operation {
                    Operation::Publish => u64::MAX,
                    _ => warmup_items(self.items),
                };
                within && self.used < items
            }
            Stage::Measure => {
                let within = match self.load.extent {
                    Extent::Count(count) => self.asked < count,
                    Extent::DurationNs(duration_ns) => elapsed_ns < duration_ns,
                };
                within && self.used < self.items
            }
            // Topics that are left: all that were created, or none that were deleted.
            Stage::CleanUp => match self.load.operation {
                Operation::Create => self.asked < self.used,
                Operation::Delete => self.used < self.items,
                Operation::Publish | Operation::Subscribe | Operation::Pull => false,
            },
            _ => false,
        };
        if !is_left {
            return false;
        }
        let item = match (stage, self.load.operation) {
            (Stage::Prepare, _) | (Stage::CleanUp, Operation::Create) => self.asked,
            _ => self.used,
        };
        self.name_item(item);
        self.asked += 1;
        if !matches!(
            (stage, self.load.operation),
            (Stage::Prepare, _) | (Stage::CleanUp, Operation::Create)
        ) {
            self.used += 1;
        }
        true
    }

    fn request(&self, stage: Stage) -> Request<'_> {
        let (topic, shared) = (self.name.as_str(), self.shared.as_str());
        match (stage, self.load.operation) {
            (Stage::Prepare, Operation::Pull) => {
                Request::Subscribe { topic: shared, subscriber: &self.prefix }
            }
            (Stage::Prepare, _) | (_, Operation::Create) if stage != Stage::CleanUp => {
                Request::Create { topic }
            }
            (Stage::CleanUp, _) | (_, Operation::Delete | Operation::Create) => {
                Request::Delete { topic }
            }
            (_, Operation::Publish) => Request::Publish { topic: shared, payload: &self.payload },
            (_, Operation::Subscribe) => Request::Subscribe { topic: shared, subscriber: topic },
            (_, Operation::Pull) => Request::Pull { topic: shared, subscriber: &self.prefix },
        }
    }

    fn name_item(&mut self, item: u64) {
        if matches!(self.load.operation, Operation::Publish | Operation::Pull) {
            return;
        }
        self.name.clear();
        write!(self.name, "{}-{item}", self.prefix).expect("a String takes whatever is written");
    }
}

pub(super) fn warmup_items(items: u64) -> u64 {
    /// The part of the items that the warm-up may use up.
    const WARMUP_ITEMS_FRACTION: u64 = 10;
    items / WARMUP_ITEMS_FRACTION
}

impl OperatorRole {
    pub(super) fn new(
        conversation: Box<dyn Operator>,
        load: &Arc<OperationLoad>,
        payload: &Arc<Vec<u8>>,
        client: u32,
    ) -> Self {
        let prefix = format!("{}-{client}", load.name);
        let script = Script {
            load: Arc::clone(load),
            payload: Arc::clone(payload),
            name: prefix.clone(),
            prefix,
            shared: load.shared_topic(),
            items: match load.operation {
                Operation::Publish => u64::MAX,
                _ => load.items_of_one(),
            },
            used: 0,
            asked: 0,
        };
        Self { conversation, script, asked_ns: None, done: true }
    }

    /// A stage begins for it. A client that is waiting still is not asked for anything new.
    pub(super) fn begin(&mut self) {
        self.script.asked = 0;
        self.done = false;
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Its connection is of no more use.
    pub(super) fn give_up(&mut self) {
        (self.done, self.asked_ns) = (true, None);
    }

    /// What it asks next, if anything, appended to `output`.
    pub(super) fn ask(
        &mut self,
        stage: Stage,
        board: &Board,
        output: &mut Vec<u8>,
    ) -> Result<(), DriverError> {
        if self.done || self.asked_ns.is_some() {
            return Ok(());
        }
        let now_ns = board.clock.now_ns();
        if !self.script.advance(stage, now_ns.saturating_sub(board.stage_start_ns())) {
            self.done = true;
            return Ok(());
        }
        self.conversation.request(&self.script.request(stage), output)?;
        self.asked_ns = Some(now_ns);
        Ok(())
    }

    /// Its request was answered; how long that took. `None`: there was none.
    pub(super) fn handle_answer(&mut self, now_ns: u64) -> Option<u64> {
        self.asked_ns.take().map(|asked_ns| now_ns.saturating_sub(asked_ns))
    }

    pub(super) fn operation(&self) -> Operation {
        self.script.load.operation
    }
}

/// What the clients of one thread did in the measured phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) last_ns: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) latencies: LatencyHistogram,
}

impl Tally {
    pub(super) fn add_error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }
}
