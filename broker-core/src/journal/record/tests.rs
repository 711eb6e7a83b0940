//! Records, written and read back.

use super::super::{ClientRecord, Delivery, FilterTerms};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Text for the names in a record, which borrows it.
const TEXTS: [&str; 3] = ["", "t", "größe und länge"];

fn text() -> impl Strategy<Value = &'static str> {
    (0..TEXTS.len()).prop_map(|index| TEXTS[index])
}

fn topic() -> impl Strategy<Value = TopicId> {
    any::<u64>().prop_map(TopicId)
}

fn terms() -> impl Strategy<Value = TopicTerms> {
    let durability = prop_oneof![Just(Durability::Os), Just(Durability::Sync)];
    (durability, any::<[u64; 3]>()).prop_map(|(durability, limits)| {
        let [bytes_max, messages_max, age_ms_max] = limits;
        TopicTerms { durability, bytes_max, messages_max, age_ms_max }
    })
}

fn lease_terms() -> impl Strategy<Value = LeaseTerms> {
    (any::<[u32; 5]>(), text()).prop_map(|(numbers, dead_letter)| LeaseTerms {
        ack_timeout_ms: numbers[0],
        in_flight_max: numbers[1],
        deliveries_max: numbers[2],
        backoff_ms_min: numbers[3],
        backoff_ms_max: numbers[4],
        dead_letter: dead_letter.to_owned(),
    })
}

fn publication() -> impl Strategy<Value = Publication<'static>> {
    let part = prop_oneof![Just(Part::Last), Just(Part::More)];
    let sequence = proptest::option::of((any::<u128>(), any::<u64>()));
    let records = prop_oneof![Just(&b""[..]), Just(&b"\0\xFFrecords"[..])];
    let heads = (topic(), any::<(u64, u64, u32)>(), part, sequence, records);
    let publication =
        heads.prop_map(|(topic, (base_offset, unix_ms, count), part, sequence, records)| {
            let sequence = sequence.map(|(publisher, sequence)| PublisherSequence {
                publisher: PublisherId(publisher),
                sequence,
            });
            Publication {
                topic,
                base_offset,
                unix_ms,
                count,
                part,
                sequence,
                receipt: None,
                records,
            }
        });
    let receipt = proptest::option::of((any::<u64>(), any::<u16>()));
    (publication, receipt).prop_map(|(publication, receipt)| {
        let receipt =
            receipt.map(|(client, packet_id)| Receipt { client: ClientNumber(client), packet_id });
        Publication { receipt, ..publication }
    })
}

fn client_record() -> impl Strategy<Value = ClientRecord<'static>> {
    let client = || any::<u64>().prop_map(ClientNumber);
    prop_oneof![
        (client(), any::<u32>(), text()).prop_map(|(client, expiry_s, id)| ClientRecord::Begun {
            client,
            expiry_s,
            id
        }),
        (client(), any::<u64>())
            .prop_map(|(client, unix_ms)| ClientRecord::Left { client, unix_ms }),
        client().prop_map(|client| ClientRecord::Ended { client }),
        (client(), any::<u8>(), any::<u32>(), text()).prop_map(
            |(client, options, identifier, filter)| ClientRecord::Subscribed {
                client,
                terms: FilterTerms { options, identifier },
                filter,
            }
        ),
        (client(), text())
            .prop_map(|(client, filter)| ClientRecord::Unsubscribed { client, filter }),
        (client(), any::<u16>(), topic(), any::<u64>(), text()).prop_map(
            |(client, packet_id, topic, offset, share)| ClientRecord::Sent {
                client,
                packet_id,
                delivery: Delivery { topic, offset, qos: 2 },
                share,
            }
        ),
        (client(), any::<u16>())
            .prop_map(|(client, packet_id)| ClientRecord::Released { client, packet_id }),
        (client(), any::<u16>())
            .prop_map(|(client, packet_id)| ClientRecord::Completed { client, packet_id }),
        (client(), any::<u16>())
            .prop_map(|(client, packet_id)| ClientRecord::Forgotten { client, packet_id }),
        (client(), any::<u64>(), vec(any::<u16>(), 0..4))
            .prop_map(|(client, as_of, received)| ClientRecord::State { client, as_of, received }),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    any::<([u64; 4], [u32; 4])>().prop_map(|(long, short)| Run {
        base_offset: long[0],
        segment: long[1],
        position: long[2],
        unix_ms: long[3],
        count: short[0],
        bytes: short[1],
        live_bytes: short[2],
        records_bytes: short[3],
    })
}

fn remembered() -> impl Strategy<Value = publishers::Publication> {
    any::<(u64, u64, u32)>().prop_map(|(sequence, base_offset, count)| publishers::Publication {
        sequence,
        base_offset,
        count,
    })
}

/// A record that is about a subscription.
fn subscription_record() -> impl Strategy<Value = Record<'static>> {
    let numbers = (topic(), any::<u64>(), any::<u64>(), any::<[u32; 2]>());
    let rest = (proptest::option::of(lease_terms()), text(), vec(any::<(u64, u32)>(), 0..4));
    (0..5u8, numbers, rest).prop_map(
        |(kind, (topic, subscription, offset, [count, deliveries]), (leases, name, ranges))| {
            match kind {
                0 => Record::Subscribed { topic, subscription, next_offset: offset, leases, name },
                1 => Record::Unsubscribed { topic, subscription },
                2 => Record::Cursor { topic, subscription, next_offset: offset },
                3 => Record::Settled { topic, subscription, ranges },
                _ => Record::Delivered { topic, subscription, first: offset, count, deliveries },
            }
        },
    )
}

fn record() -> impl Strategy<Value = Record<'static>> {
    let state = (topic(), any::<[u64; 5]>()).prop_map(|(topic, numbers)| Record::TopicState {
        topic,
        as_of: numbers[0],
        first_offset: numbers[1],
        next_offset: numbers[2],
        next_subscription: numbers[3],
        newest_unix_ms: numbers[4],
    });
    prop_oneof![
        (topic(), terms(), text()).prop_map(|(topic, terms, name)| Record::TopicCreated {
            topic,
            terms,
            name
        }),
        topic().prop_map(|topic| Record::TopicDeleted { topic }),
        publication().prop_map(Record::Messages),
        publication().prop_map(Record::Moved),
        subscription_record(),
        state,
        (topic(), vec(run(), 0..4)).prop_map(|(topic, runs)| Record::Runs { topic, runs }),
        (topic(), any::<u128>(), vec(remembered(), 0..4)).prop_map(
            |(topic, publisher, publications)| Record::Publisher {
                topic,
                publisher: PublisherId(publisher),
                publications,
            }
        ),
        any::<u64>().prop_map(|next_topic| Record::BrokerState { next_topic }),
        (topic(), prop_oneof![Just(&b""[..]), Just(&b"\0\0record"[..])])
            .prop_map(|(topic, record)| Record::Retained { topic, record }),
        client_record().prop_map(Record::Client),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in record()) {
        let mut body = Vec::new();
        let kind = record.encode(&mut body);
        prop_assert_eq!(Record::decode(kind, &body), Ok(record));
    }

    #[test]
    fn a_head_written_apart_begins_the_same_record(publication in publication()) {
        let mut whole = Vec::new();
        let kind = Record::Messages(publication).encode(&mut whole);
        let mut head = [0; PUBLICATION_HEAD_BYTES_MAX];
        let (head_kind, head) = publication.encode_head_in(&mut head);
        prop_assert_eq!(head_kind, kind);
        prop_assert_eq!([head, publication.records].concat(), whole);
    }

    #[test]
    fn any_bytes_are_a_record_or_are_refused(kind: u8, body in vec(any::<u8>(), 0..200)) {
        if let Ok(record) = Record::decode(kind, &body) {
            let mut written = Vec::new();
            prop_assert_eq!(record.encode(&mut written), kind);
            prop_assert_eq!(written, body);
        }
    }

    #[test]
    fn a_record_cut_short_is_no_longer_the_same(record in record(), left in any::<Index>()) {
        let mut body = Vec::new();
        let kind = record.encode(&mut body);
        let cut = &body[..left.index(body.len())];
        prop_assert_ne!(Record::decode(kind, cut), Ok(record));
    }
}
