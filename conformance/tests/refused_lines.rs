//! Each wrong line is refused with its own code, and the connection goes on with the next.

use conformance::{Backend, BrokerProcess, JsonClient, Speaks, for_both_backends};
use protocol::Code;

for_both_backends! {
    what_is_not_one_json_object_is_invalid_json,
    a_line_that_is_not_utf8_is_told_so,
    a_command_that_is_not_known_is_named,
    a_key_that_is_missing_is_told,
    a_key_of_the_wrong_type_is_told,
    a_value_that_cannot_be_is_told,
    a_line_over_its_limit_is_refused_once_and_passed_over,
}

/// Each line is refused with `expected`, and the connection answers what comes after it.
fn check<L: AsRef<[u8]>>(backend: Backend, expected: Code, lines: &[L]) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    for line in lines {
        let line = line.as_ref();
        let shown = String::from_utf8_lossy(line);
        assert_eq!(client.refusal_of(line), expected, "{shown}");
        assert_eq!(client.ping(), Ok(()), "after {shown}");
    }
    assert_eq!(client.topics().expect("topics"), ["t"], "nothing was done");
    let info = client.info().expect("info");
    assert_eq!((info.messages_in, info.subscriptions), (0, 0), "nothing was done");
}

fn what_is_not_one_json_object_is_invalid_json(backend: Backend) {
    let lines = [
        "nonsense",
        "{\"command\":\"PING\"",
        "{\"command\":\"PING\"}}",
        "{\"command\":\"PING\"} {\"command\":\"PING\"}",
        "{'command':'PING'}",
        "{\"command\":\"PING\",}",
        "[{\"command\":\"PING\"}]",
        "\"PING\"",
        "7",
        "null",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"a\tb\"}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"\\ud83d\"}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"\\x\"}",
        "GET / HTTP/1.1",
    ];
    check(backend, Code::InvalidJson, &lines);
    // A line that nests as deep as it is long must not exhaust the broker's stack.
    check(backend, Code::InvalidJson, &["[".repeat(100_000), "{\"a\":".repeat(100_000)]);
}

fn a_line_that_is_not_utf8_is_told_so(backend: Backend) {
    let lines: [&[u8]; 3] = [
        b"{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"\xFF\"}",
        b"{\"command\":\"PUBLISH\",\"topic\":\"\xC3\",\"message\":\"m\"}",
        b"{\"command\":\"PING\"}\x80",
    ];
    check(backend, Code::InvalidUtf8, &lines);
}

fn a_command_that_is_not_known_is_named(backend: Backend) {
    let lines = ["{\"command\":\"STOP\"}", "{\"command\":\"ping\"}", "{\"command\":\"\"}"];
    check(backend, Code::UnknownCommand, &lines);
}

fn a_key_that_is_missing_is_told(backend: Backend) {
    let lines = [
        "{}",
        "{\"topic\":\"t\"}",
        "{\"command\":\"CREATE\"}",
        "{\"command\":\"DELETE\"}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\"}",
        "{\"command\":\"PUBLISH\",\"message\":\"m\"}",
        "{\"command\":\"SUBSCRIBE\",\"topic\":\"t\"}",
        "{\"command\":\"SUBSCRIBE\",\"sid\":\"s\"}",
        "{\"command\":\"UNSUBSCRIBE\",\"topic\":\"t\"}",
        "{\"command\":\"PULL\",\"topic\":\"t\"}",
        "{\"command\":\"PULL\",\"sid\":\"s\"}",
        "{\"command\":\"GET_SUBSCRIBERS\"}",
    ];
    check(backend, Code::MissingKey, &lines);
}

fn a_key_of_the_wrong_type_is_told(backend: Backend) {
    let lines = [
        "{\"command\":7}",
        "{\"command\":[\"PING\"]}",
        "{\"command\":\"CREATE\",\"topic\":7}",
        "{\"command\":\"CREATE\",\"topic\":[\"t\"]}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":7}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":{\"messages\":\"3\"}}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":{\"bytes\":-1}}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":7}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":[\"m\"]}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":{\"text\":\"m\"}}",
        "{\"command\":\"SUBSCRIBE\",\"topic\":\"t\",\"sid\":7}",
        "{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":true}",
        "{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":\"s\",\"max\":\"2\"}",
        "{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":\"s\",\"max\":1.5}",
        "{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":\"s\",\"max\":-1}",
    ];
    check(backend, Code::MistypedKey, &lines);
}

fn a_value_that_cannot_be_is_told(backend: Backend) {
    let lines = [
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":{\"base64\":\"?\"}}",
        "{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":{\"base64\":\"/w\"}}",
        "{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":\"s\",\"max\":0}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":{\"messages\":0}}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":{\"bytes\":0}}",
        "{\"command\":\"CREATE\",\"topic\":\"u\",\"retention\":{\"age_ms\":0}}",
    ];
    check(backend, Code::InvalidValue, &lines);
}

fn a_line_over_its_limit_is_refused_once_and_passed_over(backend: Backend) {
    let limits = ["--message-bytes-max", "1024", "--line-bytes-max", "131072"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = JsonClient::connect(&broker);
    for length in [131_073, 200_000, 3_000_000] {
        let request = "{\"command\":\"PING\"}";
        let line = request.to_owned() + &" ".repeat(length - request.len());
        assert_eq!(client.refusal_of(&line), Code::LineTooLong, "{length} bytes");
        assert_eq!(client.ping(), Ok(()), "after {length} bytes");
    }
    // The refusal need not wait for the line's end.
    client.connection.send(&[b'x'; 200_000]);
    assert_eq!(client.read_answer(), Err(Code::LineTooLong));
    client.connection.send(&[b'x'; 200_000]);
    client.connection.send(b"\n");
    assert_eq!(client.ping(), Ok(()));
}
