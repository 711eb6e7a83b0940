//! Publishing from the command line, a file, or standard input.

use super::connect_once;
use crate::arguments::{Arguments, Publication};
use crate::failure::Failure;
use crate::output::Output;
use client_api::blocking::Client;
use serde_json::json;
use std::io::{self, BufRead, BufReader, Read};

/// Lines that are here already travel as one batch of up to about this size.
const BATCH_BYTES: usize = 256 * 1024;

pub(crate) fn publish(
    arguments: &Arguments,
    publication: &Publication,
    output: &mut Output,
) -> Result<(), Failure> {
    let topic = &publication.topic;
    let mut client = connect_once(arguments)?;
    if let Some(path) = &publication.file {
        let message =
            std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })?;
        return publish_batch(&mut client, topic, &[message], output);
    }
    if !publication.messages.is_empty() {
        return publish_batch(&mut client, topic, &publication.messages, output);
    }
    let mut input = BufReader::with_capacity(BATCH_BYTES, io::stdin().lock());
    let mut lines = Vec::new();
    while read_lines(&mut input, &mut lines).map_err(Failure::Input)? {
        publish_batch(&mut client, topic, &lines, output)?;
        output.flush()?;
    }
    Ok(())
}

fn publish_batch(
    client: &mut Client,
    topic: &str,
    messages: &[impl AsRef<[u8]>],
    output: &mut Output,
) -> Result<(), Failure> {
    let base_offset = client.publish_batch(topic, messages)?;
    let count = messages.len();
    let plain = match count {
        1 => format!("published 1 message to {topic} at offset {base_offset}"),
        _ => format!("published {count} messages to {topic} from offset {base_offset}"),
    };
    let object = json!({ "topic": topic, "base_offset": base_offset, "count": count });
    Ok(output.line(&plain, &object)?)
}

/// Waits for a line, and takes with it all whole lines that are here already. `false` at the end.
fn read_lines(input: &mut BufReader<impl Read>, lines: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    lines.clear();
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(!lines.is_empty());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        lines.push(line);
        if !input.buffer().contains(&b'\n') {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_here_come_together_without_their_endings() {
        let mut input = BufReader::new(&b"one\r\ntwo\n\nlast"[..]);
        let mut lines = Vec::new();
        assert!(read_lines(&mut input, &mut lines).expect("readable"));
        assert_eq!(lines, [&b"one"[..], b"two", b""]);
        assert!(read_lines(&mut input, &mut lines).expect("readable"));
        assert_eq!(lines, [b"last"]);
        assert!(!read_lines(&mut input, &mut lines).expect("readable"));
    }
}
