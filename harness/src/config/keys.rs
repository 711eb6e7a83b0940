//! The keys of a configuration as they are written, each with its place in the text.

use super::{LagPolicyChoice, LoadChoice};
use crate::drivers::{DriverKind, MqttVersion, Operation};
use measure::{PageCache, StopKind};
use serde::Deserialize;
use std::num::NonZeroU64;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigKeys {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) repeat: Option<Spanned<u32>>,
    pub(super) data_root: Option<Spanned<PathBuf>>,
    pub(super) memory_at_hand_bytes: Option<NonZeroU64>,
    #[serde(default)]
    pub(super) brokers: Vec<Spanned<BrokerKeys>>,
    pub(super) operations: Option<Spanned<OperationsKeys>>,
    #[serde(default)]
    pub(super) streams: Vec<Spanned<StreamKeys>>,
    #[serde(default)]
    pub(super) backlogs: Vec<Spanned<BacklogKeys>>,
    #[serde(default)]
    pub(super) restarts: Vec<Spanned<RestartKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrokerKeys {
    pub(super) name: Spanned<String>,
    pub(super) driver: DriverKind,
    pub(super) command: Option<Spanned<Vec<String>>>,
    pub(super) config_file: Option<Spanned<String>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) guarantee: Option<String>,
    pub(super) mqtt_version: Option<Spanned<MqttVersion>>,
    pub(super) qos: Option<Spanned<u8>>,
    pub(super) idle_topics: Option<Spanned<u32>>,
    pub(super) idle_subscriptions: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationsKeys {
    pub(super) list: Option<Spanned<Vec<Operation>>>,
    pub(super) clients: Spanned<Vec<u32>>,
    pub(super) duration_ms: Option<Spanned<u64>>,
    pub(super) count: Option<Spanned<u64>>,
    pub(super) warmup_ms: Option<Spanned<u64>>,
    pub(super) payload_bytes: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamKeys {
    pub(super) publishers: Spanned<u32>,
    pub(super) subscribers: Spanned<u32>,
    pub(super) payload_bytes: Spanned<Vec<u64>>,
    pub(super) batch: Option<Spanned<u32>>,
    pub(super) acks: Option<Spanned<u32>>,
    pub(super) duration_ms: Option<Spanned<u64>>,
    pub(super) messages: Option<Spanned<u64>>,
    pub(super) warmup_ms: Option<Spanned<u64>>,
    pub(super) load: Option<Spanned<LoadChoice>>,
    pub(super) lag_policy: Option<LagPolicyChoice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BacklogKeys {
    pub(super) payload_bytes: Spanned<Vec<u64>>,
    pub(super) messages: Option<Spanned<u64>>,
    pub(super) bytes: Option<Spanned<u64>>,
    pub(super) publishers: Option<Spanned<u32>>,
    pub(super) batch: Option<Spanned<u32>>,
    pub(super) acks: Option<Spanned<u32>>,
    pub(super) drains: Option<Spanned<Vec<PageCache>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartKeys {
    pub(super) payload_bytes: Spanned<Vec<u64>>,
    pub(super) messages: Option<Spanned<u64>>,
    pub(super) bytes: Option<Spanned<u64>>,
    pub(super) publishers: Option<Spanned<u32>>,
    pub(super) batch: Option<Spanned<u32>>,
    pub(super) acks: Option<Spanned<u32>>,
    pub(super) stops: Option<Spanned<Vec<StopKind>>>,
}
