//! Where in the guest's source an instruction stands: a table that the compiling process makes of a component's debug
//! information, and that is looked into after a fault. Debug information itself is never read in the host's process.

use std::collections::HashMap;

use crate::host::escaped;

/// The table: the names of files, then one row for each place, sorted by offset. Empty without debug information.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    files: Vec<String>,
    /// Offset in the component, number of the file, line.
    rows: Vec<[u32; 3]>,
}

/// The number of the file in a row that says that nothing is known from there on.
const NO_FILE: u32 = u32::MAX;
/// Bytes of a file's name.
const FILE_BYTES_MAX: usize = 200;
/// Rows that are kept.
const ROWS_MAX: usize = 500_000;
/// Files that are named.
const FILES_MAX: usize = 20_000;

impl Places {
    /// The place of the instruction at this offset: `src/lib.rs:42`.
    pub(super) fn at(&self, offset: usize) -> Option<String> {
        let offset = u32::try_from(offset).ok()?;
        let behind = self.rows.partition_point(|[at, ..]| *at <= offset);
        let [_, file, line] = self.rows.get(behind.checked_sub(1)?)?;
        let file = self.files.get(usize::try_from(*file).ok()?)?;
        Some(format!("{}:{line}", escaped(file)))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.rows.is_empty() {
            return bytes;
        }
        bytes.extend((self.files.len() as u32).to_le_bytes());
        for file in &self.files {
            // Cut when it was taken.
            bytes.push(file.len() as u8);
            bytes.extend(file.as_bytes());
        }
        bytes.extend(self.rows.iter().flatten().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Reads what `to_bytes` wrote; what is not that is no table.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Self {
        Self::read(&mut bytes).unwrap_or_default()
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut places = Self::default();
        for _ in 0..number(bytes)? {
            let length = usize::from(*bytes.split_off_first()?);
            let file = bytes.split_off(..length)?;
            places.files.push(String::from_utf8_lossy(file).into_owned());
        }
        while !bytes.is_empty() {
            places.rows.push([number(bytes)?, number(bytes)?, number(bytes)?]);
        }
        places.rows.is_sorted().then_some(places)
    }
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    bytes.split_off(..4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Puts a table together.
#[derive(Default)]
pub(super) struct PlacesBuilder {
    places: Places,
    numbers: HashMap<String, u32>,
}

impl PlacesBuilder {
    /// The number of a file; none when there are too many.
    pub(super) fn file(&mut self, name: &str) -> Option<u32> {
        // The end of a path tells more than its beginning.
        let mut start = name.len().saturating_sub(FILE_BYTES_MAX);
        while !name.is_char_boundary(start) {
            start += 1;
        }
        let name = name.get(start..).unwrap_or_default();
        if let Some(known) = self.numbers.get(name) {
            return Some(*known);
        }
        let number = self.places.files.len();
        if number >= FILES_MAX {
            return None;
        }
        self.places.files.push(name.to_owned());
        let number = u32::try_from(number).ok()?;
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }

    /// From this offset on the code stands there; without a file, nothing is known of it. Answers whether there is room
    /// for more.
    pub(super) fn row(&mut self, offset: u64, file: Option<u32>, line: u64) -> bool {
        if let Ok(offset) = u32::try_from(offset) {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            self.places.rows.push([offset, file.unwrap_or(NO_FILE), line]);
        }
        self.places.rows.len() < ROWS_MAX
    }

    pub(super) fn build(mut self) -> Places {
        // The end of one function is where the next one begins: what is known comes last, and counts.
        let end_first = |[offset, file, line]: &[u32; 3]| (*offset, *file != NO_FILE, *file, *line);
        self.places.rows.sort_unstable_by_key(end_first);
        self.places.rows.dedup_by(|later, before| {
            let same_offset = later[0] == before[0];
            if same_offset {
                *before = *later;
            }
            same_offset
        });
        self.places.rows.dedup_by(|later, before| later[1..] == before[1..]);
        self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Places {
        let mut builder = PlacesBuilder::default();
        let (one, two) = (builder.file("src/one.rs"), builder.file("src/two.rs"));
        assert_eq!(builder.file("src/one.rs"), one);
        for (offset, file, line) in
            [(50, two, 7), (10, one, 1), (20, one, 2), (30, None, 0), (40, None, 0), (40, two, 6)]
        {
            assert!(builder.row(offset, file, line));
        }
        builder.build()
    }

    #[test]
    fn an_instruction_is_found_by_the_row_before_it() {
        let places = Places::from_bytes(&table().to_bytes());
        assert_eq!(places.at(9), None, "before everything that is known");
        assert_eq!(places.at(10).as_deref(), Some("src/one.rs:1"));
        assert_eq!(places.at(25).as_deref(), Some("src/one.rs:2"));
        assert_eq!(places.at(35), None, "between two functions");
        assert_eq!(
            places.at(40).as_deref(),
            Some("src/two.rs:6"),
            "an end does not hide the beginning at its place"
        );
        assert_eq!(places.at(usize::MAX), None);
        assert_eq!(places.at(1_000).as_deref(), Some("src/two.rs:7"));
    }

    #[test]
    fn damaged_tables_are_empty_or_wrong_and_never_a_panic() {
        let whole = table().to_bytes();
        for place in 0..whole.len() {
            let _ = Places::from_bytes(&whole[..place]).at(20);
            let mut flipped = whole.clone();
            flipped[place] ^= 0xff;
            let _ = Places::from_bytes(&flipped).at(20);
        }
        assert!(Places::from_bytes(&[]).at(20).is_none());
    }

    #[test]
    fn a_name_of_100_kb_is_cut_at_its_beginning_and_escaped() {
        let mut builder = PlacesBuilder::default();
        let file = builder.file(&format!("{}\u{1b}[2K\nlib.rs", "ü".repeat(50_000)));
        builder.row(1, file, 1);
        let place = Places::from_bytes(&builder.build().to_bytes()).at(1).unwrap();
        assert!(place.ends_with("\\u{1b}[2K\\nlib.rs:1") && place.len() < 300, "{place}");
    }
}
