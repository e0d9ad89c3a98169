use proptest::prelude::{prop_assert, proptest};

use super::*;

/// Records and damages of a log.
fn read(log: &[u8]) -> io::Result<(Vec<u64>, Vec<Damage>)> {
    let mut chunks = Chunks::new(log);
    let mut batch = Batch::default();
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    while chunks.next_batch(&mut batch)? {
        decode(&batch, |item| match item {
            Item::Record(id, _) => records.push(id),
            Item::Damage(damage) => damages.push(damage),
        });
    }
    Ok((records, damages))
}

/// A header and a chunk of `records` bytes that says it holds records 1 to 9.
fn log(records: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0; CHUNK];
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    for (at, value) in [(8, 1_u64), (16, 9), (24, 1), (32, 9)] {
        chunk[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(40, 128_u32), (44, 512), (48, 512 + records.len() as u32)] {
        chunk[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    chunk[512..512 + records.len()].copy_from_slice(records);
    [header().as_slice(), &chunk].concat()
}

/// A record with an id and `content`.
fn record(id: u64, content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32 + 28).to_le_bytes();
    let time = 132_444_736_000_000_000_u64.to_le_bytes();
    let head: &[&[u8]] = &[b"**\0\0", &size, &id.to_le_bytes(), &time];
    [head.concat().as_slice(), content, &size].concat()
}

#[test]
fn what_is_no_log_is_refused() {
    assert_eq!(read(b"").unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(read(b"ElfFilX\0").unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(read(&header()).unwrap(), (vec![], vec![]));
}

#[test]
fn zeros_are_nothing_and_noise_is_damage() {
    let zeros = [header().as_slice(), &vec![0; 3 * CHUNK]].concat();
    assert_eq!(read(&zeros).unwrap(), (vec![], vec![]));
    let noise = [header().as_slice(), &vec![7; 2 * CHUNK]].concat();
    let (records, damages) = read(&noise).unwrap();
    assert_eq!((records.len(), damages.len()), (0, 2));
    assert_eq!(damages.iter().map(|d| d.chunk).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_cut_chunk_is_reported_with_its_number() {
    let whole = [header().as_slice(), &vec![0; BATCH * CHUNK + 100]].concat();
    let (_, damages) = read(&whole).unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].chunk, BATCH as u64);
    assert!(damages[0].message().to_string().contains("100 of 65536"));
}

#[test]
fn claims_of_size_cost_nothing() {
    let mut records = record(1, &[0xff; 40]);
    records[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let (found, damages) = read(&log(&records)).unwrap();
    assert!(found.is_empty() && !damages.is_empty());
}

proptest! {
    #[test]
    fn no_record_makes_it_panic(content in proptest::collection::vec(0u8..40, 0..300), id in 1u64..10) {
        let start = [0x0f, 1, 1, 0];
        let records = [record(id, &[start.as_slice(), &content].concat()), record(9, &content)].concat();
        let (found, damages) = read(&log(&records)).unwrap();
        prop_assert!(found.len() + damages.len() <= 4);
    }

    #[test]
    fn no_bytes_make_it_panic(content in proptest::collection::vec(0..=u8::MAX, 0..3_000)) {
        prop_assert!(read(&log(&content)).is_ok());
    }
}
