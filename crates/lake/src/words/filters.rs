//! The filters of a file: building them, and looking words up.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

use super::{Need, ROWS, each_word, fold, value_hash, word_hash};

/// Key of the entry in the footer.
const KEY: &str = "khien.words";

/// Bits of a filter for each word: about one stretch in a thousand is looked at in vain.
const BITS: usize = 16;

/// Bytes of a block.
const BLOCK: usize = 32;

/// Odd numbers that choose one bit of each of the eight parts of a block; those of Parquet.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Columns whose texts are not worth it: they have few values, by which files are chosen already.
const LEFT_OUT: [&str; 6] = ["organisation", "source", "protocol", "kind", "raw", "envelope"];

/// Where the filters of a file are.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Filters {
    version: u32,
    /// Rows of a stretch.
    rows: usize,
    /// How many there are, one for each stretch.
    #[serde(rename = "filters")]
    count: usize,
    /// Blocks of each filter.
    blocks: u32,
    /// Where the first one begins.
    offset: u64,
}

/// What hashes are is random already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The words and values of some events.
#[derive(Default)]
pub struct Words(HashSet<u64, BuildHasherDefault<AsItIs>>);

impl Words {
    /// Adds a record as it came.
    pub fn add_record(&mut self, text: &str) {
        let folded = fold(text);
        each_word(&folded, &mut |start, end| {
            self.0.insert(word_hash(&folded[start..end]));
        });
    }

    /// Adds the value of a column.
    pub fn add_value(&mut self, text: &str) {
        // Whatever words it has are known with it.
        if self.0.insert(value_hash(&fold(text))) {
            self.add_record(text);
        }
    }

    /// Whether `text`, which may go on at an end that is `open`, can stand in one of them: all its words are there.
    pub fn may_have(&self, text: &str, open: (bool, bool)) -> bool {
        Need::words(text, open).is_met(&|hash| self.0.contains(&hash))
    }
}

/// Collects the words of a file's rows.
#[derive(Default)]
pub(crate) struct Builder {
    /// Of the stretches before, without repetitions.
    done: Vec<Vec<u64>>,
    now: Words,
    rows: usize,
}

impl Builder {
    /// Adds rows.
    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        let mut from = 0;
        while from < rows.num_rows() {
            let count = (ROWS - self.rows).min(rows.num_rows() - from);
            self.add_to_stretch(&rows.slice(from, count));
            from += count;
        }
    }

    fn add_to_stretch(&mut self, rows: &RecordBatch) {
        if let Some(raw) = rows.column_by_name("raw") {
            for text in raw.as_string::<i32>().iter().flatten() {
                self.now.add_record(text);
            }
        }
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            if *field.data_type() != DataType::Utf8 || LEFT_OUT.contains(&field.name().as_str()) {
                continue;
            }
            if column.null_count() == column.len() {
                continue;
            }
            for text in column.as_string::<i32>().iter().flatten() {
                self.now.add_value(text);
            }
        }
        self.rows += rows.num_rows();
        if self.rows >= ROWS {
            self.end();
        }
    }

    fn end(&mut self) {
        self.done.push(self.now.0.drain().collect());
        self.rows = 0;
    }

    /// The filters, which begin at `offset` of the file, and the entry of the footer that says so.
    pub(crate) fn finish(mut self, offset: u64) -> (Vec<u8>, KeyValue) {
        if self.rows > 0 {
            self.end();
        }
        let most = self.done.iter().map(Vec::len).max().unwrap_or(0);
        let blocks = (most * BITS).div_ceil(BLOCK * 8).max(1);
        let mut bytes = vec![0; blocks * self.done.len() * BLOCK];
        for (filter, hashes) in self.done.iter().enumerate() {
            for hash in hashes {
                let start = (block_of(*hash, blocks as u32) * self.done.len() + filter) * BLOCK;
                let block = &mut bytes[start..start + BLOCK];
                for (part, bit) in block.chunks_exact_mut(4).zip(bits(*hash)) {
                    part[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
        let filters = Filters { version: 1, rows: ROWS, count: self.done.len(), blocks: blocks as u32, offset };
        let text = serde_json::to_string(&filters).expect("numbers are JSON");
        (bytes, KeyValue::new(KEY.to_owned(), text))
    }
}

fn block_of(hash: u64, blocks: u32) -> usize {
    (((hash >> 32) * u64::from(blocks)) >> 32) as usize
}

/// The bit of each part of a block.
fn bits(hash: u64) -> impl Iterator<Item = usize> {
    SALT.into_iter().map(move |salt| ((hash as u32).wrapping_mul(salt) >> 27) as usize)
}

impl Filters {
    /// Those of the file with this footer, if it has any that are understood.
    pub(crate) fn of(footer: &ParquetMetaData) -> Option<Self> {
        let file = footer.file_metadata();
        let entry = file.key_value_metadata()?.iter().find(|entry| entry.key == KEY)?;
        let found: Self = serde_json::from_str(entry.value.as_deref()?).ok()?;
        let rows = usize::try_from(file.num_rows()).ok()?;
        (found.version == 1 && found.rows == ROWS && found.blocks > 0 && found.count == rows.div_ceil(ROWS))
            .then_some(found)
    }

    /// The bytes that say of every stretch whether it may have what has this hash.
    pub(crate) fn range(&self, hash: u64) -> Range<u64> {
        let width = (self.count * BLOCK) as u64;
        let start = self.offset + block_of(hash, self.blocks) as u64 * width;
        start..start + width
    }

    /// Which stretches may have what has this hash, from the bytes in [`Filters::range`].
    pub(crate) fn may_have(hash: u64, bytes: &[u8]) -> Vec<bool> {
        let has = |block: &[u8]| {
            block.chunks_exact(4).zip(bits(hash)).all(|(part, bit)| part[bit / 8] & (1 << (bit % 8)) != 0)
        };
        bytes.chunks_exact(BLOCK).map(has).collect()
    }

    /// How many stretches there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::words::needs;
    use datafusion::prelude::{col, lit};

    fn rows(raw: &[String]) -> RecordBatch {
        let raw: ArrayRef = Arc::new(StringArray::from(raw.to_vec()));
        RecordBatch::try_from_iter([("raw", raw.clone()), ("user_name", raw)]).unwrap()
    }

    /// Which stretches may have what a condition needs.
    fn met(need: &Need, filters: &Filters, bytes: &[u8]) -> Vec<bool> {
        let looked_up = |hash: u64| {
            let range = filters.range(hash);
            Filters::may_have(hash, &bytes[range.start as usize..range.end as usize])
        };
        (0..filters.len()).map(|stretch| need.is_met(&|hash| looked_up(hash)[stretch])).collect()
    }

    fn built(stretches: &[Vec<String>]) -> (Filters, Vec<u8>) {
        let mut builder = Builder::default();
        for stretch in stretches {
            let mut raw = stretch.clone();
            raw.resize(ROWS, String::new());
            builder.add(&rows(&raw));
        }
        let (bytes, entry) = builder.finish(0);
        (serde_json::from_str(&entry.value.unwrap()).unwrap(), bytes)
    }

    #[test]
    fn few_stretches_are_looked_at_in_vain() {
        let words = |first: u64| (first..first + 8_000).map(|id| format!("w{id}x q{id}z")).collect::<Vec<_>>();
        let (filters, bytes) = built(&[words(0), words(8_000)]);
        let mut in_vain = 0;
        for id in 0..16_000_u64 {
            let met = met(&Need::words(&format!("q{id}z"), (false, false)), &filters, &bytes);
            let own = usize::from(id >= 8_000);
            assert!(met[own], "{id}");
            in_vain += usize::from(met[1 - own]);
        }
        assert!(in_vain < 80, "{in_vain}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever piece of a text is asked for, the stretch with the text is looked at.
        #[test]
        fn nothing_is_lost(text in "[a-cA-C\\\\nu0-3.%_ĐđſsK -]{0,40}", from in 0_usize..40, length in 1_usize..20) {
            let (filters, bytes) = built(&[vec![text.clone()], vec![]]);
            let letters: Vec<char> = text.chars().collect();
            let piece: String = letters.iter().skip(from).take(length).collect();
            let escaped = piece.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let whole = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let end: String = letters.iter().skip(from).collect();
            let end = end.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            for condition in [
                col("raw").ilike(lit(format!("%{escaped}%"))),
                col("user_name").like(lit(format!("%{escaped}%"))),
                col("user_name").like(lit(format!("%{end}"))),
                col("user_name").ilike(lit(whole)),
                col("user_name").eq(lit(text.clone())),
                col("raw").eq(lit(text.clone())),
            ] {
                prop_assert!(met(&needs(&condition), &filters, &bytes)[0], "{condition}");
            }
            if !piece.is_empty() && crate::search::is_word_in(&piece, &text) {
                prop_assert!(met(&Need::words(&piece, (false, false)), &filters, &bytes)[0], "{piece}");
            }
        }
    }
}
