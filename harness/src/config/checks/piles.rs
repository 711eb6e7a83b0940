//! What piles up on a broker that keeps it: backlogs and restarts.

use super::{ACKS_DEFAULT, ACKS_RANGE, BATCH_RANGE, CONNECTIONS_RANGE, Check, MESSAGES_RANGE};
use crate::config::keys::{BacklogKeys, Placed, RestartKeys};
use crate::config::streams::BATCH_DEFAULT;
use crate::config::{BacklogConfig, ConfigError, PileConfig, PileSize, RestartConfig};
use measure::{PageCache, StopKind};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

const PILE_BYTES_RANGE: RangeInclusive<u64> = 1..=1 << 40;

const PUBLISHERS_DEFAULT: u32 = 1;

/// The keys that backlogs and restarts share.
struct PileKeys<'a> {
    table: &'static str,
    payload_bytes: &'a Placed<Vec<u64>>,
    messages: Option<&'a Placed<u64>>,
    bytes: Option<&'a Placed<u64>>,
    publishers: Option<&'a Placed<u32>>,
    batch: Option<&'a Placed<u32>>,
    acks: Option<&'a Placed<u32>>,
}

impl Check<'_> {
    pub(super) fn data_root(&self, root: Placed<PathBuf>) -> Result<PathBuf, ConfigError> {
        if root.as_ref().is_dir() {
            return Ok(root.into_inner());
        }
        let found = format!("{:?}", root.as_ref());
        Err(self.impossible("data_root", &root, "a directory that is there", found))
    }

    pub(super) fn backlogs(
        &self,
        tables: &[Placed<BacklogKeys>],
    ) -> Result<Vec<BacklogConfig>, ConfigError> {
        let backlogs = tables.iter().map(|table| {
            let keys = table.as_ref();
            let drains = match &keys.drains {
                None => vec![PageCache::Cold, PageCache::Warm],
                Some(drains) => self.distinct("drains", drains)?,
            };
            let pile = self.pile(table, &PileKeys::of_backlog(keys))?;
            Ok(BacklogConfig { pile, drains })
        });
        let backlogs = backlogs.collect::<Result<Vec<_>, _>>()?;
        self.piles_differ("backlogs", tables, backlogs.iter().map(|backlog| &backlog.pile))?;
        Ok(backlogs)
    }

    pub(super) fn restarts(
        &self,
        tables: &[Placed<RestartKeys>],
    ) -> Result<Vec<RestartConfig>, ConfigError> {
        let restarts = tables.iter().map(|table| {
            let keys = table.as_ref();
            let stops = match &keys.stops {
                None => vec![StopKind::Clean, StopKind::Crash],
                Some(stops) => self.distinct("stops", stops)?,
            };
            let pile = self.pile(table, &PileKeys::of_restart(keys))?;
            Ok(RestartConfig { pile, stops })
        });
        let restarts = restarts.collect::<Result<Vec<_>, _>>()?;
        self.piles_differ("restarts", tables, restarts.iter().map(|restart| &restart.pile))?;
        Ok(restarts)
    }

    fn pile<T>(&self, table: &Placed<T>, keys: &PileKeys<'_>) -> Result<PileConfig, ConfigError> {
        let batch = self.within("batch", keys.batch, &BATCH_RANGE, BATCH_DEFAULT)?;
        let size = match (keys.messages, keys.bytes) {
            (Some(messages), None) => {
                let count = *messages.as_ref();
                self.value_within("messages", messages, count, &MESSAGES_RANGE)?;
                PileSize::Messages(count)
            }
            (None, Some(bytes)) => {
                let count = *bytes.as_ref();
                self.value_within("bytes", bytes, count, &PILE_BYTES_RANGE)?;
                PileSize::Bytes(count)
            }
            (Some(_), Some(bytes)) => {
                let expected = "either `messages` or `bytes`";
                return Err(self.impossible("bytes", bytes, expected, "both"));
            }
            (None, None) => {
                let expected = "`messages` or `bytes`";
                return Err(self.impossible(keys.table, table, expected, "neither"));
            }
        };
        Ok(PileConfig {
            payload_bytes: self.payloads(keys.payload_bytes, batch)?,
            size,
            publishers: self.within(
                "publishers",
                keys.publishers,
                &CONNECTIONS_RANGE,
                PUBLISHERS_DEFAULT,
            )?,
            batch,
            acks: self.within("acks", keys.acks, &ACKS_RANGE, ACKS_DEFAULT)?,
        })
    }

    /// Results are told apart by publishers, payload and messages.
    fn piles_differ<'a, T>(
        &self,
        key: &'static str,
        tables: &[Placed<T>],
        piles: impl Iterator<Item = &'a PileConfig>,
    ) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for (table, pile) in tables.iter().zip(piles) {
            for &bytes in &pile.payload_bytes {
                let messages = pile.messages(bytes);
                if !seen.insert((pile.publishers, bytes, messages)) {
                    let expected = "publishers, payload_bytes and size that no other has";
                    let found = format!("{messages} × {bytes} B again");
                    return Err(self.impossible(key, table, expected, found));
                }
            }
        }
        Ok(())
    }
}

impl<'a> PileKeys<'a> {
    fn of_backlog(keys: &'a BacklogKeys) -> Self {
        Self {
            table: "backlogs",
            payload_bytes: &keys.payload_bytes,
            messages: keys.messages.as_ref(),
            bytes: keys.bytes.as_ref(),
            publishers: keys.publishers.as_ref(),
            batch: keys.batch.as_ref(),
            acks: keys.acks.as_ref(),
        }
    }

    fn of_restart(keys: &'a RestartKeys) -> Self {
        Self {
            table: "restarts",
            payload_bytes: &keys.payload_bytes,
            messages: keys.messages.as_ref(),
            bytes: keys.bytes.as_ref(),
            publishers: keys.publishers.as_ref(),
            batch: keys.batch.as_ref(),
            acks: keys.acks.as_ref(),
        }
    }
}
