//! Who subscribed to which filter, over all clients: asked when a topic is made, and never when a
//! message is published, since by then each subscriber has its cursor in the topic.

use super::client::Client;
use crate::level_tree::LevelTree;
use protocol::mqtt::QoS;
use std::sync::{Arc, RwLock};

/// All filters of all clients.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    by_filter: RwLock<LevelTree<Entry>>,
}

/// Those who subscribed to one filter.
#[derive(Debug, Default)]
struct Entry {
    /// By their numbers.
    members: Vec<Member>,
    shares: Vec<Share>,
}

/// One client's subscription to a filter.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) client: Arc<Client>,
    pub(crate) qos: QoS,
}

/// Clients that share a subscription (MQTT 5.0 §4.8.2).
#[derive(Clone, Debug)]
pub(crate) struct Share {
    /// The whole filter, `$share/…` included.
    pub(crate) filter: Arc<str>,
    pub(crate) members: Vec<Member>,
}

/// A filter, and the whole of it where it is shared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) levels: &'a str,
    pub(crate) share: Option<&'a Arc<str>>,
}

/// Those whom a new topic concerns.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    pub(crate) members: Vec<Member>,
    pub(crate) shares: Vec<Share>,
}

impl Subscribers {
    /// A client subscribes, or changes what it subscribed to.
    pub(crate) fn insert(&self, place: Place<'_>, member: Member) {
        let mut tree = self.by_filter.write().expect(TREE_LOCK);
        let entry = tree.get_or_insert_with(place.levels, Entry::default);
        let members = match place.share {
            None => &mut entry.members,
            Some(filter) => match entry.shares.iter().position(|share| share.filter == *filter) {
                Some(index) => &mut entry.shares[index].members,
                None => {
                    let filter = Arc::clone(filter);
                    entry.shares.push(Share { filter, members: Vec::new() });
                    &mut entry.shares.last_mut().expect("it was just pushed").members
                }
            },
        };
        put(members, member);
    }

    /// A client unsubscribes. Gives whether it was the last of those who share the subscription.
    pub(crate) fn remove(&self, place: Place<'_>, client: &Client) -> bool {
        let mut tree = self.by_filter.write().expect(TREE_LOCK);
        let Some(entry) = tree.get_mut(place.levels) else { return false };
        let mut was_last = false;
        match place.share {
            None => take(&mut entry.members, client),
            Some(filter) => entry.shares.retain_mut(|share| {
                if share.filter == *filter {
                    take(&mut share.members, client);
                    was_last |= share.members.is_empty();
                }
                !share.members.is_empty()
            }),
        }
        if entry.members.is_empty() && entry.shares.is_empty() {
            tree.remove(place.levels);
        }
        was_last
    }

    /// Those whose filters match the name of a topic.
    pub(crate) fn matching(&self, topic: &str) -> Matched {
        let mut matched = Matched::default();
        let tree = self.by_filter.read().expect(TREE_LOCK);
        tree.for_each_matching_filter(topic, &mut |entry: &Entry| {
            matched.members.extend(entry.members.iter().cloned());
            matched.shares.extend(entry.shares.iter().cloned());
        });
        matched
    }
}

fn put(members: &mut Vec<Member>, member: Member) {
    match members.binary_search_by_key(&member.client.number, |known| known.client.number) {
        Ok(index) => members[index] = member,
        Err(index) => members.insert(index, member),
    }
}

fn take(members: &mut Vec<Member>, client: &Client) {
    if let Ok(index) = members.binary_search_by_key(&client.number, |known| known.client.number) {
        members.remove(index);
        if members.is_empty() {
            *members = Vec::new();
        }
    }
}

const TREE_LOCK: &str = "no thread panics while it holds the lock of all filters";
