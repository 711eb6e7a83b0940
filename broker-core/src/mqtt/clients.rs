//! All clients by their identifiers, and when the sessions of those who left are over.

use super::client::Client;
use crate::Now;
use crate::journal::ClientNumber;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_id: Mutex<HashMap<Arc<str>, Arc<Client>>>,
    next_number: AtomicU64,
    /// Clients to be looked at: their will, or the end of their session, may be due.
    due: Mutex<BTreeMap<(Now, ClientNumber), Arc<Client>>>,
}

impl Clients {
    /// The client of this identifier, made where there is none; `None`: there are `max` already.
    pub(crate) fn find_or_insert(&self, id: &str, max: usize) -> Option<Arc<Client>> {
        let mut by_id = self.by_id();
        if let Some(client) = by_id.get(id) {
            return Some(Arc::clone(client));
        }
        if by_id.len() >= max {
            return None;
        }
        let client = Arc::new(Client::new(self.next_number(), id));
        by_id.insert(Arc::clone(&client.id), Arc::clone(&client));
        Some(client)
    }

    /// A number that no client has.
    pub(crate) fn next_number(&self) -> ClientNumber {
        ClientNumber(self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    /// The journal knows a client by this number, so that no other is given it.
    pub(crate) fn reserve(&self, number: ClientNumber) {
        self.next_number.fetch_max(number.0 + 1, Ordering::Relaxed);
    }

    /// Puts a client back that was found in the journal.
    pub(crate) fn restore(&self, client: &Arc<Client>) {
        self.by_id().insert(Arc::clone(&client.id), Arc::clone(client));
    }

    /// The identifier is another's from now on.
    pub(crate) fn remove(&self, client: &Client) {
        let mut by_id = self.by_id();
        if by_id.get(&client.id).is_some_and(|known| known.number == client.number) {
            by_id.remove(&client.id);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id().len()
    }

    /// All clients, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.by_id().values().cloned().collect();
        all.sort_unstable_by_key(|client| client.number);
        all
    }

    /// A client is to be looked at then.
    pub(crate) fn look_at(&self, client: &Arc<Client>, at: Now) {
        self.due().insert((at, client.number), Arc::clone(client));
    }

    /// A client that was to be looked at then need not be.
    pub(crate) fn look_not(&self, client: &Client, at: Now) {
        self.due().remove(&(at, client.number));
    }

    /// Takes a client that is to be looked at by now.
    pub(crate) fn pop_due(&self, now: Now) -> Option<Arc<Client>> {
        let mut due = self.due();
        let entry = due.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Client>>> {
        self.by_id.lock().expect("no thread panics while it holds the lock of all clients")
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<(Now, ClientNumber), Arc<Client>>> {
        self.due.lock().expect("no thread panics while it holds the list of clients to look at")
    }
}
