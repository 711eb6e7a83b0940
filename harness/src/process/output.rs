//! What a broker writes: line by line to who listens, or the last lines kept.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

/// Lines of standard error that are kept.
const LAST_LINES_MAX: usize = 20;

/// How long one of them may be.
const LINE_BYTES_MAX: u64 = 4096;

/// Reads to the end, so that the process never blocks on a full pipe.
pub(super) fn send_lines(output: impl Read, lines: &Sender<String>) {
    for_each_line(output, |line| {
        // Once it is ready nobody listens any more.
        let _unheard = lines.send(line);
    });
}

/// The same, and keeps the end of what is written; `lines` may be nobody's.
pub(super) fn keep_last_lines(
    output: impl Read,
    last_lines: &Mutex<VecDeque<String>>,
    lines: Option<&Sender<String>>,
) {
    for_each_line(output, |line| {
        if let Some(lines) = lines {
            let _unheard = lines.send(line.clone());
        }
        let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    });
}

fn for_each_line(input: impl Read, mut take: impl FnMut(String)) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => take(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let kept = Mutex::new(VecDeque::new());
        keep_last_lines(text.as_bytes(), &kept, None);
        let kept = kept.into_inner().unwrap();
        assert_eq!(kept.len(), LAST_LINES_MAX);
        assert_eq!(kept.back().unwrap(), "line 99");
    }
}
