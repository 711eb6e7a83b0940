//! The Python client that the project grew from works unchanged.

use conformance::{Backend, BrokerProcess, for_both_backends, wait_until};
use std::io::Read;
use std::process::{Command, Stdio};

for_both_backends! {
    the_seeds_python_client_tells_its_story,
}

const STORY: &str = "\
create News ok
create Sports ok
create Technology ok
create Health ok
create Entertainment ok
delete Health ok
delete Entertainment ok
publish News message 1 ok
publish News message 2 ok
publish News message 3 ok
publish Sports message 1 ok
publish Sports message 2 ok
publish Sports message 3 ok
publish Technology message 1 ok
publish Technology message 2 ok
publish Technology message 3 ok
subscribe News ok
received News message 1
received News message 2
received News message 3
No new messages
";

fn the_seeds_python_client_tells_its_story(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let client = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seed_client.py"))
        .arg(broker.address().port().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut client = match client {
        Ok(client) => client,
        Err(error) => return tell_skipped(&error),
    };
    let mut succeeded = None;
    wait_until("the end of the Python client", || {
        let status = client.try_wait().expect("a child of this process");
        succeeded = status.map(|status| status.success());
        succeeded.is_some()
    });
    // What it prints fits the pipes, so that it can end before it is read.
    let (mut story, mut errors) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (client.stdout.take(), client.stderr.take());
    stdout.as_mut().expect("piped").read_to_string(&mut story).expect("text");
    stderr.as_mut().expect("piped").read_to_string(&mut errors).expect("text");
    assert_eq!((succeeded, story.as_str()), (Some(true), STORY), "{errors}");
}

/// Told past the test harness, which would keep it to itself.
fn tell_skipped(error: &std::io::Error) {
    use std::io::Write;
    let line = format!("SKIPPED: the seed's Python client was not run: python3: {error}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}
