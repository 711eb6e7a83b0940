//! What loops send each other.

use broker_core::Wake;
use mio::{Poll, Token, Waker};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The token of a loop's waker; connections count up from 0.
pub(crate) const MAIL_TOKEN: Token = Token(usize::MAX);

/// One piece of mail.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A session of the receiving loop is to be woken.
    Wake(Wake),
    /// The receiving loop is to serve this connection.
    Connection(TcpStream, SocketAddr),
}

/// One loop's mailbox. Rings are coalesced: only a loop that sleeps is woken by the operating
/// system, and once.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    waker: Waker,
    /// It was rung since the loop last lay down.
    rung: AtomicBool,
    asleep: AtomicBool,
}

impl Mailbox {
    pub(crate) fn new(poll: &Poll) -> io::Result<Self> {
        let waker = Waker::new(poll.registry(), MAIL_TOKEN)?;
        Ok(Self {
            mail: Mutex::default(),
            waker,
            rung: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        })
    }

    /// Puts all of `mail` in, without waking the loop.
    pub(crate) fn put(&self, mail: impl IntoIterator<Item = Mail>) {
        self.mail.lock().expect(MAIL_LOCK).extend(mail);
    }

    /// Whether the loop sleeps, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Wakes the loop if it sleeps, and else has it look around once more before it does.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            // The loop looks into its mailbox at its next event or tick.
            tracing::warn!(%error, "an event loop could not be woken");
        }
    }

    /// Announces that the loop is about to sleep. Gives whether it was rung, and must not.
    pub(crate) fn lie_down(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        self.rung.swap(false, Ordering::SeqCst)
    }

    /// Announces that the loop is awake.
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Takes all mail into `taken`, which is empty.
    pub(crate) fn take(&self, taken: &mut Vec<Mail>) {
        std::mem::swap(&mut *self.mail.lock().expect(MAIL_LOCK), taken);
    }
}

const MAIL_LOCK: &str = "no thread panics while it holds a mailbox";
