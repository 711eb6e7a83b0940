//! When a generator thread is woken: to the microsecond, where a poll's own timeout would be to
//! the millisecond.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const NS_PER_S: u64 = 1_000_000_000;

/// A timer that a poll waits for beside its sockets.
pub(super) struct Timer {
    timer: OwnedFd,
    armed: bool,
}

impl Timer {
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, armed: false })
    }

    /// Wakes the poll in so many nanoseconds, once; at least one.
    pub(super) fn arm(&mut self, in_ns: u64) -> io::Result<()> {
        self.armed = true;
        self.set(in_ns.max(1))
    }

    /// Wakes nobody any more.
    pub(super) fn disarm(&mut self) -> io::Result<()> {
        if !self.armed {
            return Ok(());
        }
        self.armed = false;
        self.set(0)
    }

    /// Setting it also makes what was not read of it unread no more.
    fn set(&self, in_ns: u64) -> io::Result<()> {
        let value =
            Timespec { tv_sec: (in_ns / NS_PER_S) as i64, tv_nsec: (in_ns % NS_PER_S) as i64 };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: once, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }
}
