//! Requests to JetStream, which are JSON to subjects that begin with `$JS.API`, and its answers.

use super::NatsMessage;
use super::publish;
use crate::config::JetStreamStorage as Storage;
use crate::drivers::DriverError;
use serde::{Deserialize, Serialize};

/// How long the server keeps a consumer that nobody pulls from.
const INACTIVE_NS_MAX: u64 = 60_000_000_000;

/// The name of the JetStream stream that holds what is published under a name of ours: all that
/// names may not hold is replaced, as in nats-server's `isValidName`.
pub(super) fn stream_name(root: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    root.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect()
}

#[derive(Serialize)]
struct StreamConfig<'a> {
    name: &'a str,
    subjects: [&'a str; 1],
    storage: &'static str,
    retention: &'static str,
    num_replicas: u32,
}

/// Appends the request for a stream; its limits are the server's own.
pub(super) fn create_stream(
    root: &str,
    subjects: &str,
    storage: Storage,
    reply: &str,
    output: &mut Vec<u8>,
) {
    let name = stream_name(root);
    let storage = match storage {
        Storage::Memory => "memory",
        Storage::File => "file",
    };
    let (subjects, retention, num_replicas) = ([subjects], "limits", 1);
    let config = StreamConfig { name: &name, subjects, storage, retention, num_replicas };
    publish(&format!("$JS.API.STREAM.CREATE.{name}"), reply, &json(&config), output);
}

/// Appends the request to delete a stream.
pub(super) fn delete_stream(root: &str, reply: &str, output: &mut Vec<u8>) {
    publish(&format!("$JS.API.STREAM.DELETE.{}", stream_name(root)), reply, b"", output);
}

/// A consumer of a stream.
pub(super) struct ConsumerTerms<'a> {
    /// Of the stream that holds what is published under this name.
    pub(super) root: &'a str,
    pub(super) consumer: &'a str,
    /// The only subject of the stream that it takes; `None`: all.
    pub(super) filter: Option<&'a str>,
}

#[derive(Serialize)]
struct ConsumerRequest<'a> {
    stream_name: &'a str,
    config: ConsumerConfig<'a>,
}

#[derive(Serialize)]
struct ConsumerConfig<'a> {
    name: &'a str,
    deliver_policy: &'static str,
    ack_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_subject: Option<&'a str>,
    /// Where it was is kept in memory, as ordered consumers of nats.go have it.
    mem_storage: bool,
    num_replicas: u32,
    inactive_threshold: u64,
}

/// Appends the request for a consumer that begins with the stream's first message.
pub(super) fn create_consumer(terms: &ConsumerTerms<'_>, reply: &str, output: &mut Vec<u8>) {
    let &ConsumerTerms { root, consumer, filter } = terms;
    let stream = stream_name(root);
    let config = ConsumerConfig {
        name: consumer,
        deliver_policy: "all",
        ack_policy: "none",
        filter_subject: filter,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE_NS_MAX,
    };
    let request = ConsumerRequest { stream_name: &stream, config };
    let filter = filter.map(|filter| format!(".{filter}")).unwrap_or_default();
    let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}{filter}");
    publish(&subject, reply, &json(&request), output);
}

/// Appends the request for the next `messages`, or, with `no_wait`, as many of them as there are.
pub(super) fn pull(
    terms: &ConsumerTerms<'_>,
    messages: u32,
    no_wait: bool,
    reply: &str,
    output: &mut Vec<u8>,
) {
    let (stream, consumer) = (stream_name(terms.root), terms.consumer);
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
    let request = format!("{{\"batch\":{messages},\"no_wait\":{no_wait}}}");
    publish(&subject, reply, request.as_bytes(), output);
}

fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("texts, numbers and lists of them are JSON")
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u32,
    /// The server's own number, which servers before 2.3 do not give.
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// The error number of a message that names another stream than the one that it came to.
const STREAM_NOT_MATCH: u32 = 10_060;

/// Appends a message to `subject` that its stream refuses because it is to be in another. It is
/// looked at when all before it are in the stream, and leaves nothing there.
pub(super) fn publish_refused(subject: &str, reply: &str, output: &mut Vec<u8>) {
    const HEAD: &str = "NATS/1.0\r\nNats-Expected-Stream: -\r\n\r\n";
    let bytes = HEAD.len();
    let text = format!("HPUB {subject} {reply} {bytes} {bytes}\r\n{HEAD}\r\n");
    output.extend_from_slice(text.as_bytes());
}

/// Whether it is the refusal of [`publish_refused`]'s message.
///
/// # Errors
/// [`DriverError`] for any other answer.
pub(super) fn check_refused(message: &NatsMessage<'_>) -> Result<(), DriverError> {
    let answer = parse_answer(message)?;
    match answer.error {
        Some(error) if error.err_code == STREAM_NOT_MATCH => Ok(()),
        Some(error) => Err(refused(error)),
        None => Err(DriverError::unexpected("a refusal", &text(message.payload))),
    }
}

/// Whether it is a PubAck: `{"stream":"S", "seq":1}`. A refused message has the error first.
///
/// # Errors
/// [`DriverError::Refused`] if the message was refused.
#[inline]
pub(super) fn check_pub_ack(message: &NatsMessage<'_>) -> Result<(), DriverError> {
    if message.payload.starts_with(b"{\"stream\":") {
        return Ok(());
    }
    check_answer(message)
}

/// Whether it is an answer that grants what was asked.
///
/// # Errors
/// [`DriverError::Refused`] if it does not.
#[cold]
pub(super) fn check_answer(message: &NatsMessage<'_>) -> Result<(), DriverError> {
    match parse_answer(message)?.error {
        None => Ok(()),
        Some(error) => Err(refused(error)),
    }
}

fn parse_answer(message: &NatsMessage<'_>) -> Result<Answer, DriverError> {
    if let Some(status) = message.status() {
        return Err(refused_with_status(status));
    }
    serde_json::from_slice(message.payload)
        .map_err(|_| DriverError::unexpected("an answer as JSON", &text(message.payload)))
}

/// A refusal by status, e.g. `409 Consumer Deleted`.
pub(super) fn refused_with_status(status: &str) -> DriverError {
    let (code, message) = status.split_once(' ').unwrap_or((status, ""));
    let message = match code {
        "503" => "nobody answers; is JetStream enabled, and is the stream there?",
        _ => message,
    };
    DriverError::Refused { code: format!("nats_{code}"), message: message.to_owned() }
}

fn refused(error: ApiError) -> DriverError {
    let number = if error.err_code == 0 { error.code } else { error.err_code };
    DriverError::Refused { code: format!("jetstream_{number}"), message: error.description }
}

fn text(payload: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    jetstream: bool,
    #[serde(default)]
    headers: bool,
}

/// Whether what a server says of itself has JetStream in it.
///
/// # Errors
/// [`DriverError::Unexpected`] if not.
#[cold]
pub(super) fn check_info(info: &[u8]) -> Result<(), DriverError> {
    const EXPECTED: &str = "a server with headers and JetStream (`jetstream {}` in its \
        configuration)";
    match serde_json::from_slice(info) {
        Ok(Info { jetstream: true, headers: true }) => Ok(()),
        _ => Err(DriverError::unexpected(EXPECTED, &text(info))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(payload: &str) -> NatsMessage<'_> {
        NatsMessage { subscription: 1, head: b"", payload: payload.as_bytes() }
    }

    #[test]
    fn a_pub_ack_is_told_from_a_refusal() {
        check_pub_ack(&answer(r#"{"stream":"S", "seq":1}"#)).unwrap();
        check_pub_ack(&answer(r#"{"domain":"d", "stream":"S", "seq":1}"#)).unwrap();
        let refused = r#"{"error":{"code":503,"err_code":10077,"description":"full"},"seq":0}"#;
        let error = check_pub_ack(&answer(refused)).unwrap_err();
        assert_eq!((error.code(), error.is_refusal()), ("jetstream_10077", true));
        let head = b"NATS/1.0 503\r\n\r\n";
        let nobody = NatsMessage { subscription: 1, head, payload: b"" };
        assert_eq!(check_pub_ack(&nobody).unwrap_err().code(), "nats_503");
        assert_eq!(check_pub_ack(&answer("no")).unwrap_err().code(), "unexpected_answer");
    }

    #[test]
    fn a_server_without_jetstream_is_told_what_to_do() {
        check_info(br#"{"headers":true,"jetstream":true} "#).unwrap();
        let error = check_info(br#"{"headers":true}"#).unwrap_err().to_string();
        assert!(error.contains("`jetstream {}`"), "{error}");
    }

    #[test]
    fn a_stream_is_named_with_letters_that_names_may_hold() {
        assert_eq!(stream_name("run-7/warm up.é*"), "run-7_warm_up___");
    }
}
