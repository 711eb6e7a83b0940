//! One connection: a thread that reads and answers, and one that writes.

use super::server::{OUTPUT_FRAMES_MAX, Output, Server, Subscriber, Verdict};
use protocol::native::{
    BrokerGreeting, CLIENT_GREETING_BYTES, FrameDecoder, FrameStep, VERSION, check_client_greeting,
    decode_request, encode_broker_greeting, encode_response,
};
use protocol::{Batch, Code, Delivery, PublishAck, Refusal, Request, Response, SettleAnswer};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

const READ_BYTES: usize = 64 * 1024;

/// The largest frame that is read.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Serves a client until either is done with the other.
pub(super) fn serve(socket: TcpStream, server: &Arc<Server>) {
    let (Ok(mut writing), Ok(client)) = (socket.try_clone(), socket.peer_addr()) else { return };
    // Without it answers would only be late.
    let _ = socket.set_nodelay(true);
    let (output, outputs) = sync_channel(OUTPUT_FRAMES_MAX);
    let writer_server = Arc::clone(server);
    let writer = std::thread::spawn(move || write_all(&mut writing, &outputs, &writer_server));
    let mut connection = Connection { socket, client, server, output };
    connection.read_all();
    // One that is closed already is no loss.
    let _ = connection.socket.shutdown(Shutdown::Both);
    server.forget(client);
    // With it the last sender is gone, and the writer ends.
    drop(connection);
    let _ = writer.join();
}

fn write_all(socket: &mut TcpStream, outputs: &Receiver<Output>, server: &Server) {
    for Output { due, bytes } in outputs {
        server.wait_until(due);
        server.wait_while_stalled();
        if socket.write_all(&bytes).is_err() {
            return;
        }
    }
}

struct Connection<'a> {
    socket: TcpStream,
    client: SocketAddr,
    server: &'a Server,
    output: SyncSender<Output>,
}

/// Whether a connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Close,
}

impl Connection<'_> {
    fn read_all(&mut self) {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let (mut input, mut read) = (Vec::new(), vec![0; READ_BYTES]);
        let mut is_greeted = false;
        loop {
            let bytes = match self.socket.read(&mut read) {
                Ok(0) | Err(_) => return,
                Ok(bytes) => bytes,
            };
            self.server.wait_while_stalled();
            input.extend_from_slice(&read[..bytes]);
            if !is_greeted {
                match check_client_greeting(&input) {
                    Ok(None) => continue,
                    Err(_) => return,
                    Ok(Some(())) => {}
                }
                is_greeted = true;
                input.drain(..CLIENT_GREETING_BYTES);
                self.greet();
            }
            if self.handle_frames(&mut decoder, &mut input) == Next::Close {
                return;
            }
        }
    }

    fn greet(&self) {
        let mut bytes = Vec::new();
        let greeting = BrokerGreeting {
            version: VERSION,
            accepted: true,
            frame_bytes_max: FRAME_BYTES_MAX as u32,
            message_bytes_max: MESSAGE_BYTES_MAX as u32,
        };
        encode_broker_greeting(greeting, &mut bytes);
        self.write(bytes);
    }

    fn handle_frames(&self, decoder: &mut FrameDecoder, input: &mut Vec<u8>) -> Next {
        let mut used = 0;
        let next = loop {
            match decoder.next(&input[used..]) {
                FrameStep::NeedMore { .. } => break Next::Read,
                FrameStep::Frame { consumed, frame } => {
                    used += consumed;
                    let next = match decode_request(frame, MESSAGE_BYTES_MAX) {
                        Ok(request) => self.handle_request(&request, frame.correlation),
                        Err(refusal) => self.answer(&Response::Refused(refusal), frame.correlation),
                    };
                    if next == Next::Close {
                        break next;
                    }
                }
                FrameStep::TooLarge { .. }
                | FrameStep::Discarded { .. }
                | FrameStep::OutOfStep { .. } => break Next::Close,
            }
        };
        input.drain(..used);
        next
    }

    fn handle_request(&self, request: &Request<'_>, correlation: u32) -> Next {
        let response = match request {
            Request::Publish { topic, messages, ack, .. } => {
                match self.server.publish(topic, messages) {
                    Verdict::Taken { .. } if *ack == PublishAck::Unwanted => return Next::Read,
                    Verdict::Taken { base_offset, count } => {
                        Response::Published { base_offset, count }
                    }
                    Verdict::Refused(refusal) => Response::Refused(refusal),
                    Verdict::Close => return Next::Close,
                }
            }
            Request::Subscribe { topic, subscriber, delivery, .. } => {
                return self.subscribe(topic, subscriber, *delivery, correlation);
            }
            Request::Pull { .. } => {
                let (base_offset, lost, remaining) = (0, 0, 0);
                let batch = Batch::trusted(&[], 0);
                Response::Messages { base_offset, lost, remaining, batch }
            }
            Request::Ping => Response::Pong,
            Request::Credit { .. } | Request::Ack { answer: SettleAnswer::Unwanted, .. } => {
                return Next::Read;
            }
            Request::Create { .. } | Request::Delete { .. } | Request::Ack { .. } => Response::Done,
            _ => Response::Refused(Refusal::new(
                Code::UnknownCommand,
                "a stub broker publishes, subscribes, creates, deletes and answers PING alone",
            )),
        };
        self.answer(&response, correlation)
    }

    fn subscribe(&self, topic: &str, name: &str, delivery: Delivery, correlation: u32) -> Next {
        let Delivery::Push(_) = delivery else {
            return self.answer(&Response::Subscribed { next_offset: 0 }, correlation);
        };
        let Ok(socket) = self.socket.try_clone() else { return Next::Close };
        let subscriber = Subscriber {
            name: name.to_owned(),
            connection: self.client,
            correlation,
            output: self.output.clone(),
            socket,
            held: None,
        };
        self.server.subscribe(topic, subscriber);
        Next::Read
    }

    fn answer(&self, response: &Response<'_>, correlation: u32) -> Next {
        let mut bytes = Vec::new();
        encode_response(response, correlation, &mut bytes);
        self.write(bytes)
    }

    fn write(&self, bytes: Vec<u8>) -> Next {
        match self.output.send(Output { due: Instant::now(), bytes }) {
            Ok(()) => Next::Read,
            Err(_) => Next::Close,
        }
    }
}
