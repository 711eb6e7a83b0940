//! What MQTT has beyond one connection: clients and their sessions, their subscriptions, wills and
//! retained messages (MQTT 3.1.1 and 5.0).
//!
//! A session has no queue: each topic that its filters match has a cursor of the session's, made
//! when the client subscribes, or when the topic is made later. Messages of quality of service 1
//! and 2 are leased to it like to a group of one, and settled when the client has confirmed them;
//! a shared subscription is a group of many. What is under way of quality of service 2 is in the
//! journal besides, by its packet identifier.

mod client;
mod clients;
mod filters;
mod message;
mod recovered;
mod sessions;
mod subscribers;
mod subscribing;
mod sys;
mod wills;
mod window;

pub(crate) use client::{
    Client, EXPIRY_NEVER_S, OWN_PREFIXES, RetainedReading, State, share_subscription,
};
pub(crate) use filters::{Reading, Terms};
pub(crate) use message::{Message, Origin, push};
pub(crate) use recovered::{RETAINED_OFFSET, RecoveredClients};
pub(crate) use sessions::{Begin, CleanStart, Leaving};
pub(crate) use subscribing::{Subscription, later};
pub(crate) use sys::SYS_PREFIX;
pub(crate) use wills::Will;
pub(crate) use window::{InFlight, Source, Stage};

use crate::SessionKey;
use clients::Clients;
use std::collections::HashMap;
use std::sync::Mutex;
use subscribers::Subscribers;
use sys::Sys;

/// All that MQTT has in one broker.
#[derive(Debug, Default)]
pub(crate) struct Mqtt {
    clients: Clients,
    subscribers: Subscribers,
    /// Wills that wait for room in their topics, and whose they are.
    late_wills: Mutex<Vec<(Will, u64)>>,
    /// Wills of connections that lost their sessions to others, until it is known whether their
    /// clients had said farewell, and whose they are.
    displaced_wills: Mutex<HashMap<SessionKey, (Will, u64)>>,
    /// How many subscriptions ask not to be given what their own clients publish.
    no_local: std::sync::atomic::AtomicUsize,
    sys: Sys,
}
