//! MQTT sessions of quality of service 1 and 2, on brokers that are killed at any moment.
//!
//! Publishers and subscribers keep what the standard has a client keep (MQTT 5.0 §4.1), and nothing
//! else: they go on with their sessions after each of their connections, which end with the broker
//! or when they drop them, and send again what was not acknowledged. Whatever happens,
//!
//! - a session that was acknowledged is present;
//! - a publication that was acknowledged comes to all whose SUBSCRIBE was acknowledged before, to
//!   one member of each shared subscription;
//! - one that was published and is received at quality of service 2 comes once;
//! - the first coming of each message is in its publisher's order, topic by topic;
//! - a retained message is the last acknowledged one, or a later one;
//! - a session, or a subscription, that was confirmed to be over does not come back.

mod audience;
mod churn;
mod era;
mod publisher;
mod subscriber;
mod wire;

pub(crate) use era::{MqttEra, MqttTally, Restart};
