//! Publishing from the command line, a file, or standard input.

use super::connect_once;
use crate::arguments::{Arguments, Publication};
use crate::failure::Failure;
use crate::output::Output;
use client_api::blocking::Client;
use client_api::{BatchBuilder, Error, IdempotentPublisher, Published};
use serde_json::json;
use std::io::{self, BufRead, BufReader, Read};

/// Lines that are here already travel as one batch of up to about this size.
const BATCH_BYTES: usize = 256 * 1024;

pub(crate) fn publish(
    arguments: &Arguments,
    publication: &Publication,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut publisher = Publisher::connect(arguments, publication)?;
    if let Some(path) = &publication.file {
        let message =
            std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })?;
        return publisher.publish(&[message], output);
    }
    if !publication.messages.is_empty() {
        return publisher.publish(&publication.messages, output);
    }
    let mut input = BufReader::with_capacity(BATCH_BYTES, io::stdin().lock());
    let mut lines = Vec::new();
    while read_lines(&mut input, &mut lines).map_err(Failure::Input)? {
        publisher.publish(&lines, output)?;
        output.flush()?;
    }
    Ok(())
}

/// Publishes batch after batch in the way that was asked for.
struct Publisher<'a> {
    client: Client,
    publication: &'a Publication,
    idempotent: Option<IdempotentPublisher>,
    batch: BatchBuilder,
}

impl<'a> Publisher<'a> {
    fn connect(arguments: &Arguments, publication: &'a Publication) -> Result<Self, Error> {
        let new = || {
            let publisher = IdempotentPublisher::new(&publication.topic);
            match publication.durability() {
                Some(durability) => publisher.durability(durability),
                None => publisher,
            }
        };
        let idempotent = publication.idempotent.then(new);
        let client = match &idempotent {
            Some(_) => Client::connect_with(&arguments.broker, arguments.options())?,
            None => connect_once(arguments)?,
        };
        Ok(Self { client, publication, idempotent, batch: BatchBuilder::new() })
    }

    fn publish(
        &mut self,
        messages: &[impl AsRef<[u8]>],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let topic = &self.publication.topic;
        self.batch.clear();
        for message in messages {
            let headers = self.publication.headers.iter();
            let headers = headers.map(|(key, value)| (key.as_str(), value.as_bytes()));
            let pushed = self.batch.push_with_headers(headers, message.as_ref());
            pushed.map_err(Error::Refused)?;
        }
        let Published { base_offset, count } = self.send()?;
        let plain = match count {
            1 => format!("published 1 message to {topic} at offset {base_offset}"),
            _ => format!("published {count} messages to {topic} from offset {base_offset}"),
        };
        let object = json!({ "topic": topic, "base_offset": base_offset, "count": count });
        Ok(output.line(&plain, &object)?)
    }

    fn send(&mut self) -> Result<Published, Error> {
        let Self { client, publication, idempotent, batch } = self;
        let (topic, batch) = (&publication.topic, batch.batch());
        let ticket = match (idempotent, publication.durability()) {
            (Some(publisher), _) => client.send_records_idempotent(publisher, batch)?,
            (None, Some(durability)) => client.send_records_durably(topic, batch, durability)?,
            (None, None) => client.send_records(topic, batch)?,
        };
        client.wait(ticket)
    }
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
