//! The format against fixed bytes, flipped bits and anything at all.

use proptest::prelude::*;

use super::*;

const SALT: Salt = [7; 16];
const AT: Timestamp = Timestamp::from_secs(5);

fn group(payloads: &[Vec<u8>], seq_first: u64, salt: &Salt) -> Vec<u8> {
    let mut out = Vec::new();
    for (payload, seq) in payloads.iter().zip(seq_first..) {
        let record_type = RecordType::Data(RecordKind::Event);
        let header = RecordHeader::alone(record_type, payload.len(), seq, AT);
        write_record(&header, payload, salt, &mut out);
    }
    let count = payloads.len() as u32;
    let commit = Commit { seq_first, seq_next: seq_first + payloads.len() as u64, count };
    write_commit(&commit, AT, salt, 0, &mut out);
    out
}

#[test]
fn a_segment_header_survives_the_loss_of_one_copy() {
    let header = SegmentHeader {
        identity: [1; 16],
        salt: SALT,
        base_seq: 42,
        base_hash: [0; 32],
        created_at: AT,
    };
    let whole = header.encode();
    assert_eq!(whole.len(), BLOCK_BYTES);
    for place in SEGMENT_HEADER_PLACES {
        let mut block = whole.clone();
        block[place..place + 512].fill(0xAA);
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
    }
    assert_eq!(SegmentHeader::decode(&[0; BLOCK_BYTES]), Err(HeaderError::Damaged));
    assert_eq!(SegmentHeader::decode(&whole[..100]), Ok(header));
    assert_eq!(SegmentHeader::decode(&whole[..50]), Err(HeaderError::Damaged));
}

#[test]
fn a_newer_format_is_named() {
    let header = SegmentHeader {
        identity: [1; 16],
        salt: SALT,
        base_seq: 42,
        base_hash: [0; 32],
        created_at: AT,
    };
    let mut block = header.encode();
    for place in SEGMENT_HEADER_PLACES {
        block[place + 10] = 9;
        let crc = crc32c::crc32c(&block[place..place + 92]);
        block[place + 92..place + 96].copy_from_slice(&crc.to_le_bytes());
    }
    assert_eq!(SegmentHeader::decode(&block), Err(HeaderError::TooNew(9)));
}

#[test]
fn a_record_header_has_64_bytes_in_this_order() {
    let header = RecordHeader {
        record_type: RecordType::Data(RecordKind::DeadLetter),
        payload_len: 3,
        seq: 0x0102,
        source: 0xA1,
        observed_at: Timestamp::from_nanos(0xB2),
        batch_id: [0xC3; 16],
        index_in_batch: 4,
        batch_len: 5,
    };
    let mut out = Vec::new();
    write_record(&header, b"abc", &SALT, &mut out);
    assert_eq!(&out[..8], b"LWRC\x02\x00\x40\x00");
    assert_eq!(&out[8..20], [3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&out[20..28], [0, 0, 0, 0, 0xA1, 0, 0, 0]);
    assert_eq!(&out[28..36], [0xB2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&out[36..52], [0xC3; 16]);
    assert_eq!(&out[52..56], [4, 0, 5, 0]);
    assert_eq!(&out[64..], b"abc");
}

proptest! {
    #[test]
    fn a_group_reads_back_and_fills_whole_blocks(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..6),
    ) {
        let bytes = group(&payloads, 10, &SALT);
        prop_assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        let read = read_group(&bytes, &SALT).expect("whole");
        let found: Vec<&[u8]> =
            read.records.iter().map(|(_, payload)| &bytes[payload.clone()]).collect();
        prop_assert_eq!(found, payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(read.len, bytes.len());
        prop_assert_eq!(read_group(&bytes, &[8; 16]), None);
        let mut resealed = Vec::new();
        reseal(&read, &bytes, &[8; 16], &mut resealed);
        prop_assert_eq!(read_group(&resealed, &[8; 16]), Some(read));
    }

    #[test]
    fn any_flipped_bit_before_the_padding_is_noticed(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = group(std::slice::from_ref(&payload), 10, &SALT);
        let end = HEADER_BYTES + payload.len() + HEADER_BYTES + COMMIT_BYTES;
        bytes[at.index(end)] ^= 1u8 << bit;
        prop_assert_eq!(read_group(&bytes, &SALT), None);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(read_group(&bytes, &SALT), None);
        let _ = SegmentHeader::decode(&bytes);
    }
}

#[test]
fn a_gap_stands_for_what_is_lost() {
    let bytes = gap_group(5, 9, 4096, AT, &SALT);
    let read = read_group(&bytes, &SALT).expect("whole");
    assert!(read.commit.is_gap());
    assert_eq!((read.commit.seq_first, read.commit.seq_next), (5, 9));
}
