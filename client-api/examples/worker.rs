//! One of a group of workers: takes jobs, fails at some, and shows what was given up.
//!
//! `cargo run -p client-api --example worker -- [ADDRESS]`, any number of times at once.

#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use client_api::blocking::Client;
use client_api::{
    AckTerms, Code, Error, IdempotentPublisher, Message, PushTerms, Pushed, SubscriberId,
};
use std::time::Duration;

const TOPIC: &str = "Jobs";
const DEAD_LETTER: &str = "Jobs.failed";
const JOBS: u32 = 10;

/// How long nothing comes before a worker takes the work for done.
const IDLE_MAX: Duration = Duration::from_secs(3);

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:8080".to_owned());
    let mut client = Client::connect(&address)?;
    make_jobs(&mut client)?;
    work(&mut client)?;
    show_dead_letters(&mut client)
}

fn make_jobs(client: &mut Client) -> Result<(), Error> {
    for topic in [TOPIC, DEAD_LETTER] {
        match client.create_topic(topic) {
            Err(error) if error.code() != Some(Code::TopicExists) => return Err(error),
            _ => {}
        }
    }
    let mut jobs = IdempotentPublisher::new(TOPIC);
    for number in 1..=JOBS {
        client.send_idempotent(&mut jobs, [format!("job {number}")])?;
    }
    client.wait_all()
}

fn work(client: &mut Client) -> Result<(), Error> {
    let acks = AckTerms::new()
        .ack_timeout(Duration::from_secs(10))
        .deliveries_max(3)
        .backoff(Duration::from_millis(100), Duration::from_secs(1))
        .dead_letter(DEAD_LETTER);
    let terms = PushTerms::new().acks(acks);
    let mut jobs = client.subscribe_push(TOPIC, &SubscriberId::from("workers"), terms)?;
    while let Some(next) = jobs.next_within(IDLE_MAX)? {
        let Pushed::Delivered(job) = next else { continue };
        let words = String::from_utf8_lossy(&job.payload);
        if is_done(&job) {
            println!("{words}: done at delivery {}", job.deliveries);
            jobs.ack(job.offset);
        } else {
            println!("{words}: failed at delivery {}", job.deliveries);
            jobs.nack(job.offset, None);
        }
    }
    jobs.detach()
}

/// Every third job fails each time, and every other one the first time.
fn is_done(job: &Message) -> bool {
    job.offset % 3 != 2 && (job.offset.is_multiple_of(2) || job.deliveries > 1)
}

fn show_dead_letters(client: &mut Client) -> Result<(), Error> {
    let reader = client.register_subscriber();
    client.subscribe(DEAD_LETTER, &reader)?;
    for message in client.pull(DEAD_LETTER, &reader)?.messages {
        let words = String::from_utf8_lossy(&message.payload);
        println!("{words} was given up:");
        for (key, value) in message.headers() {
            println!("  {key}: {}", String::from_utf8_lossy(value));
        }
    }
    client.unsubscribe(DEAD_LETTER, &reader)
}
