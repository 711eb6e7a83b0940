//! What a worker hears on its connections: that they are made, can be written to, and what was said.

use super::{BUFFERED_CONNECTIONS_MAX, Connection, State, TURN_READS_MAX, Worker};
use crate::drivers::DriverError;
use crate::engine::LoadError;
use crate::engine::board::Stage;
use crate::engine::operations;
use crate::engine::role::{Role, SubscriberRole};
use crate::engine::socket::{Buffers, Filled, READ_BYTES_MIN};
use crate::intake::Intake;
use crate::ledger::Ledger;
use crate::wire::Heard;
use mio::event::Event;

impl Worker<'_> {
    pub(super) fn handle_event(&mut self, index: usize, event: &Event) -> Result<(), LoadError> {
        match self.connections[index].state {
            State::Closed => return Ok(()),
            State::Dialling => {
                if !self.finish_dialling(index)? {
                    return Ok(());
                }
            }
            State::Opening | State::Ready => {}
        }
        if event.is_writable() {
            self.flush(index)?;
        }
        if event.is_readable() || event.is_read_closed() {
            self.read(index)?;
        }
        Ok(())
    }

    fn finish_dialling(&mut self, index: usize) -> Result<bool, LoadError> {
        let address = self.address;
        let connection = &mut self.connections[index];
        let connected = match connection.socket.connected() {
            Ok(None) => return Ok(false),
            Ok(Some(())) => {
                connection.state = State::Opening;
                self.output.clear();
                connection.role.conversation().poll_opening(&mut self.output);
                connection.socket.write(&self.output)
            }
            Err(source) => Err(source),
        };
        match connected {
            Ok(()) => Ok(true),
            Err(source) => {
                self.lose(index, DriverError::Connect { address, source })?;
                Ok(false)
            }
        }
    }

    fn flush(&mut self, index: usize) -> Result<(), LoadError> {
        let connection = &mut self.connections[index];
        if connection.socket.is_clear() {
            return Ok(());
        }
        if let Err(source) = connection.socket.flush() {
            return self.lose(index, DriverError::Io { doing: "writing", source });
        }
        self.look_after_publisher(index)
    }

    /// Something changed for a publisher: it may be able to publish, or be at its end.
    fn look_after_publisher(&mut self, index: usize) -> Result<(), LoadError> {
        let connection = &mut self.connections[index];
        if let Role::Publisher(role) = &mut connection.role
            && self.is_publishing
        {
            if connection.socket.is_clear() {
                self.publishing.queue_if_willing(index, role);
            }
            self.finish_publisher(index)?;
        }
        Ok(())
    }

    pub(super) fn read_again(&mut self) -> Result<(), LoadError> {
        for _ in 0..self.again.len() {
            let Some(index) = self.again.pop_front() else { break };
            self.connections[index].again = false;
            self.read(index)?;
        }
        // What a slow consumer has earned by now; readiness is not told twice.
        for at in 0..self.slow.len() {
            self.read(self.slow[at])?;
        }
        Ok(())
    }

    /// Reads until nothing is there, for a few times at most.
    fn read(&mut self, index: usize) -> Result<(), LoadError> {
        for _ in 0..TURN_READS_MAX {
            if matches!(self.connections[index].state, State::Closed | State::Dialling) {
                return Ok(());
            }
            match self.read_once(index) {
                Ok(More::No) => return Ok(()),
                Ok(More::Perhaps) => {}
                Err(error) => return self.lose(index, error),
            }
        }
        let connection = &mut self.connections[index];
        if !connection.again {
            connection.again = true;
            self.again.push_back(index);
        }
        Ok(())
    }

    fn read_once(&mut self, index: usize) -> Result<More, DriverError> {
        let buffers = match self.connections.len() <= BUFFERED_CONNECTIONS_MAX {
            true => Buffers::Keep,
            false => Buffers::Release,
        };
        let Connection { socket, role, tidings, .. } = &mut self.connections[index];
        let mut bytes_max = usize::MAX;
        if let Role::Subscriber(SubscriberRole { allowance: Some(allowance), .. }) = role {
            bytes_max = allowance.bytes_now(self.board.clock.now_ns());
            if bytes_max == 0 {
                return Ok(More::No);
            }
        }
        let wanted = role.conversation().input_bytes_wanted();
        self.output.clear();
        let (recorder, output) = (&mut self.recorder, &mut self.output);
        let received = socket.receive(&mut self.shared, bytes_max, wanted, buffers, |input| {
            recorder.begin();
            let (group, used) = match &mut *role {
                Role::Subscriber(SubscriberRole { conversation, ledger, group, .. }) => {
                    let mut intake = Intake::new(recorder, ledger, *group);
                    let mut heard = Heard::new(&mut intake, output, tidings);
                    (*group, conversation.handle_input(input, &mut heard)?)
                }
                other => {
                    let mut ledger = Ledger::new(0);
                    let mut intake = Intake::new(recorder, &mut ledger, 0);
                    let mut heard = Heard::new(&mut intake, output, tidings);
                    (0, other.conversation().handle_input(input, &mut heard)?)
                }
            };
            recorder.end(group);
            Ok::<_, DriverError>(used)
        });
        let (filled, bytes) =
            received.map_err(|source| DriverError::Io { doing: "reading", source })??;
        match filled {
            Filled::Nothing => return Ok(More::No),
            Filled::Closed => return Err(DriverError::Closed { expected: "to be served" }),
            Filled::Bytes => {}
        }
        if let Role::Subscriber(SubscriberRole { allowance: Some(allowance), .. }) = role {
            allowance.spend(bytes);
        }
        if !self.output.is_empty() {
            socket
                .write(&self.output)
                .map_err(|source| DriverError::Io { doing: "writing", source })?;
        }
        self.handle_tidings(index)?;
        // A read that did not fill its room took all there was (epoll(7)).
        Ok(if bytes < READ_BYTES_MIN.min(bytes_max) { More::No } else { More::Perhaps })
    }

    fn handle_tidings(&mut self, index: usize) -> Result<(), DriverError> {
        let connection = &mut self.connections[index];
        if connection.state == State::Opening && connection.tidings.ready {
            connection.state = State::Ready;
            self.unready -= 1;
            let now_ns = self.board.clock.now_ns();
            self.handshake.record_ns(now_ns.saturating_sub(connection.dialled_ns));
            self.last_ready_ns = now_ns;
            self.activity += 1;
        }
        match &mut connection.role {
            Role::Subscriber(_) | Role::Idler(_) => Ok(()),
            Role::Publisher(role) => {
                let acknowledged = std::mem::take(&mut connection.tidings.acknowledged);
                let finished = std::mem::take(&mut connection.tidings.finished);
                if acknowledged > 0 {
                    let now_ns = self.board.clock.now_ns();
                    self.activity += u64::from(acknowledged);
                    if self.publishing.is_confirmed()
                        && !self.publishing.handle_acknowledged(role, acknowledged, now_ns)
                    {
                        return Err(DriverError::Unexpected {
                            expected: "one acknowledgement for each publication",
                            found: "one more".to_owned(),
                        });
                    }
                }
                if finished && !role.is_done() {
                    self.publishing.handle_finished(role, self.board);
                    self.unfinished -= 1;
                }
                // Nothing but its socket can fail here, and that is told when it is used next.
                let _failed = self.look_after_publisher(index);
                Ok(())
            }
            Role::Operator(_) => self.handle_answers(index),
        }
    }

    fn handle_answers(&mut self, index: usize) -> Result<(), DriverError> {
        let now_ns = self.board.clock.now_ns();
        loop {
            let Connection { role: Role::Operator(role), tidings, .. } =
                &mut self.connections[index]
            else {
                return Ok(());
            };
            if tidings.answers.is_empty() {
                return Ok(());
            }
            let answer = tidings.answers.remove(0);
            let Some(latency_ns) = role.handle_answer(now_ns) else {
                return Err(DriverError::Unexpected {
                    expected: "an answer to a request",
                    found: "one without a request".to_owned(),
                });
            };
            self.activity += 1;
            let operation = role.operation();
            if self.stage == Stage::Measure {
                self.tally.last_ns = now_ns;
                match operations::judge(operation, answer) {
                    Ok(()) => self.tally.latencies.record_ns(latency_ns),
                    Err(error) => self.tally.add_error(error.code()),
                }
            } else if let Err(error) = answer
                && self.stage == Stage::Prepare
            {
                return Err(error);
            }
            self.ask(index).map_err(|error| DriverError::unexpected("to ask on", &error))?;
        }
    }
}

/// Whether there may be more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    No,
    Perhaps,
}
