//! A batch that passes its check is whole records, and every prefix of it is a batch too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::batch::{PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, prefix};
use protocol::{Batch, BatchBuilder};

/// Bytes of the field that says how long a record's headers are.
const HEADERS_LENGTH_BYTES: usize = 4;

fuzz_target!(|input: (u32, u16, u16, u8, &[u8])| {
    let (count, message_bytes_max, prefix_bytes_max, prefix_count_max, bytes) = input;
    let message_bytes_max = usize::from(message_bytes_max);
    check_prefix(bytes, usize::from(prefix_bytes_max), u32::from(prefix_count_max));
    // A count out of thin air is almost never right, so the right one is tried too.
    let counted = prefix(bytes, usize::MAX, u32::MAX).count;
    for count in [count, counted] {
        if let Ok(batch) = Batch::check(bytes, count, message_bytes_max) {
            check_batch(batch, message_bytes_max);
        }
    }
});

fn check_batch(batch: Batch<'_>, message_bytes_max: usize) {
    let mut builder = BatchBuilder::new();
    let mut length = 0;
    for (record, payload) in batch.records().zip(batch.payloads()) {
        assert_eq!(record.payload, payload, "both ways to read it give the same");
        length += RECORD_HEADER_BYTES;
        let headers = record.headers;
        builder.push_with_headers(headers, payload).expect("no longer than a record can say");
        let headers_bytes = match headers.is_empty() {
            true => 0,
            false => HEADERS_LENGTH_BYTES + headers.bytes().len(),
        };
        let message_bytes = headers_bytes + payload.len();
        assert!(message_bytes <= message_bytes_max, "each message is within the limit");
        length += message_bytes;
    }
    assert_eq!(batch.records().count(), batch.count() as usize, "each is read");
    assert_eq!(length, batch.bytes().len(), "records cover the batch");
    assert_eq!(builder.batch(), batch, "a batch is built again as it came");
}

fn check_prefix(bytes: &[u8], bytes_max: usize, count_max: u32) {
    let taken = prefix(bytes, bytes_max, count_max);
    assert!(taken.bytes <= bytes_max && taken.count <= count_max, "a prefix keeps both limits");
    // A prefix of unchecked bytes may hold headers that are none.
    let checked = Batch::check(&bytes[..taken.bytes], taken.count, PAYLOAD_BYTES_MAX);
    if let Ok(batch) = checked {
        assert_eq!(batch.payloads().count(), taken.count as usize, "each is whole");
    }
}
