//! A connection to an AMQP broker and its one channel: opened, set up, and read frame by frame.
//!
//! ```text
//! client                                          broker
//!   "AMQP" 0 0-9-1                    ->
//!                                     <-          connection.start
//!   connection.start-ok               ->
//!                                     <-          connection.tune
//!   connection.tune-ok, .open         ->
//!                                     <-          connection.open-ok
//!   channel.open, and what else is asked ->
//!                                     <-          an answer to each: ready
//! ```

use super::frames::{
    FRAME_BYTES_MAX, FRAME_BYTES_MIN, Frame, FrameStep, KIND_BODY, KIND_HEADER, KIND_HEARTBEAT,
    PROTOCOL_HEADER, content_bytes, next_frame,
};
use super::methods::{Call, Method, decode, refused};
use crate::drivers::DriverError;
use crate::wire::Heard;

/// What is asked when the connection is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    calls: Vec<u8>,
    answers: u32,
}

impl Setup {
    /// That opens the channel.
    pub(super) fn with_channel() -> Self {
        let mut setup = Self::default();
        setup.ask(&Call::OpenChannel);
        setup
    }

    /// Adds a call that is answered.
    pub(super) fn ask(&mut self, call: &Call<'_>) {
        call.encode(&mut self.calls);
        self.answers += 1;
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    setup: Setup,
    stage: Stage,
    frame_bytes_max: usize,
    input_bytes_wanted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// Answers that are still to come.
    SettingUp(u32),
    Ready,
}

/// What comes when a session is ready, or of itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Method(Method<'a>),
    /// The content header of a message whose body has so many bytes.
    Header(u64),
    Body(&'a [u8]),
}

impl Session {
    pub(super) fn new(setup: Setup) -> Self {
        let (stage, frame_bytes_max) = (Stage::Opening, FRAME_BYTES_MAX);
        Self { setup, stage, frame_bytes_max, input_bytes_wanted: 0 }
    }

    pub(super) fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(PROTOCOL_HEADER);
    }

    /// The largest frame that may be sent, once it is ready.
    pub(super) fn frame_bytes_max(&self) -> usize {
        self.frame_bytes_max
    }

    pub(super) fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }

    /// Opens and sets up, then hands over what every frame is; how many bytes were used.
    #[inline]
    pub(super) fn handle_input<'a, 'b>(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'a, 'b>,
        mut take: impl FnMut(&mut Heard<'a, 'b>, Event<'_>) -> Result<(), DriverError>,
    ) -> Result<usize, DriverError> {
        let mut used = 0;
        loop {
            match next_frame(&input[used..])? {
                FrameStep::Frame { used: bytes, frame } => {
                    if let Some(event) = self.event(frame, heard)? {
                        take(heard, event)?;
                    }
                    used += bytes;
                }
                FrameStep::NeedMore { input_bytes } => {
                    self.input_bytes_wanted = input_bytes;
                    return Ok(used);
                }
            }
        }
    }

    /// What a frame is to whoever uses the session; `None` if it is the session's own.
    #[inline]
    fn event<'f>(
        &mut self,
        frame: Frame<'f>,
        heard: &mut Heard<'_, '_>,
    ) -> Result<Option<Event<'f>>, DriverError> {
        match frame.kind {
            KIND_BODY => return Ok(Some(Event::Body(frame.body))),
            KIND_HEADER => return Ok(Some(Event::Header(content_bytes(frame.body)?))),
            KIND_HEARTBEAT => return Ok(None),
            _ => {}
        }
        let method = decode(frame.body)?;
        match method {
            Method::Close { code, reason } => return Err(refused(code, reason)),
            Method::News => return Ok(None),
            _ if self.stage == Stage::Ready => {}
            _ => return self.set_up(method, heard),
        }
        Ok(Some(Event::Method(method)))
    }

    #[cold]
    fn set_up<'f>(
        &mut self,
        method: Method<'f>,
        heard: &mut Heard<'_, '_>,
    ) -> Result<Option<Event<'f>>, DriverError> {
        match (self.stage, method) {
            (Stage::Opening, Method::Start { mechanisms }) => {
                if !mechanisms.split(|&byte| byte == b' ').any(|word| word == b"PLAIN") {
                    let found = String::from_utf8_lossy(mechanisms);
                    return Err(DriverError::unexpected("PLAIN among the mechanisms", &found));
                }
                Call::StartOk.encode(heard.reply());
            }
            (Stage::Opening, Method::Tune { frame_bytes_max }) => {
                self.frame_bytes_max = match frame_bytes_max as usize {
                    0 => FRAME_BYTES_MAX,
                    theirs => theirs.clamp(FRAME_BYTES_MIN, FRAME_BYTES_MAX),
                };
                let frame_bytes_max = self.frame_bytes_max as u32;
                Call::TuneOk { frame_bytes_max }.encode(heard.reply());
                Call::Open.encode(heard.reply());
            }
            (Stage::Opening, Method::OpenOk) => {
                heard.reply().extend_from_slice(&self.setup.calls);
                self.await_answers(self.setup.answers, heard);
            }
            (Stage::SettingUp(answers), Method::Granted) => {
                self.await_answers(answers - 1, heard);
            }
            // Of a consumer that stands, while something else is still being set up.
            (Stage::SettingUp(_), Method::Deliver) => return Ok(Some(Event::Method(method))),
            (_, other) => {
                return Err(DriverError::unexpected("the next step of an opening", &other));
            }
        }
        Ok(None)
    }

    fn await_answers(&mut self, answers: u32, heard: &mut Heard<'_, '_>) {
        if answers > 0 {
            self.stage = Stage::SettingUp(answers);
        } else {
            self.stage = Stage::Ready;
            heard.ready();
        }
    }
}
