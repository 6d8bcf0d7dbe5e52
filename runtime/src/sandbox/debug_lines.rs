//! Makes the table of places of a component's debug information. It runs in the compiling process only, within its limits:
//! this information is as hostile as the rest of a component, and the formats are old and wide.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use addr2line::Context;
use gimli::{EndianSlice, LineProgramHeader, LittleEndian, SectionId};
use wasmparser::{Encoding, Parser, Payload};

use super::places::{Places, PlacesBuilder};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Rows that are looked at in all, kept or not; language engines have about a million.
const ROWS_SEEN_MAX: usize = 8_000_000;
/// Looks for the code into which something was inlined, in one module.
const LOOKS_MAX: usize = 200_000;

/// The places of a component's instructions; none where it has no debug information, or a broken one.
pub(super) fn places(component: &[u8]) -> Places {
    // A mistake in reading it must not keep a good component from being compiled.
    catch_unwind(AssertUnwindSafe(|| collect(component))).unwrap_or_default()
}

/// A module that is being read.
#[derive(Default)]
struct Module<'a> {
    /// Where its code begins in the component: addresses count from there.
    code: Option<std::ops::Range<usize>>,
    sections: HashMap<&'a str, &'a [u8]>,
}

fn collect(component: &[u8]) -> Places {
    let mut builder = PlacesBuilder::default();
    let mut open: Vec<Option<Module<'_>>> = Vec::new();
    let mut rows_left = ROWS_SEEN_MAX;
    for payload in Parser::new(0).parse_all(component) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { encoding, .. } => {
                open.push((encoding == Encoding::Module).then(Module::default));
            }
            Payload::CodeSectionStart { range, .. } => {
                if let Some(Some(module)) = open.last_mut() {
                    module.code = Some(range);
                }
            }
            Payload::CustomSection(custom) if custom.name().starts_with(".debug_") => {
                if let Some(Some(module)) = open.last_mut() {
                    module.sections.insert(custom.name(), custom.data());
                }
            }
            Payload::End(_) => {
                if let Some(Some(module)) = open.pop() {
                    // What was read of it before a mistake is kept.
                    let _ = read(&module, &mut builder, &mut rows_left);
                }
            }
            _ => {}
        }
    }
    builder.build()
}

/// Reads the line tables of one module.
fn read(module: &Module<'_>, builder: &mut PlacesBuilder, rows_left: &mut usize) -> gimli::Result<()> {
    let Some(code) = &module.code else { return Ok(()) };
    let section = |id: SectionId| {
        let bytes = module.sections.get(id.name()).copied().unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    };
    let dwarf = Arc::new(gimli::Dwarf::load(section)?);
    let mut inlined =
        Inlined { context: Context::from_arc_dwarf(Arc::clone(&dwarf)).ok(), looks_left: LOOKS_MAX };
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        // A unit that cannot be read does not hide the others.
        let Ok(unit) = dwarf.unit(header) else { continue };
        let Some(program) = unit.line_program.clone() else { continue };
        let home = unit.comp_dir.map(|home| home.to_string_lossy().into_owned()).unwrap_or_default();
        let mut files = HashMap::new();
        let mut rows = program.rows();
        let mut dead = true;
        let mut begins = true;
        while let Ok(Some((header, row))) = rows.next_row() {
            *rows_left = rows_left.saturating_sub(1);
            if *rows_left == 0 {
                return Ok(());
            }
            // Functions that the linker has left out begin at 0, where no function is, or far behind all code.
            if begins {
                dead = row.address() == 0 || row.address() >= code.len() as u64;
            }
            begins = row.end_sequence();
            if dead {
                continue;
            }
            let offset = row.address().saturating_add(code.start as u64);
            let Some(line) = row.line().filter(|_| !row.end_sequence()) else {
                builder.row(offset, None, 0);
                continue;
            };
            let name = files
                .entry(row.file_index())
                .or_insert_with(|| path(&dwarf, &unit, header, row.file_index()).unwrap_or_default());
            let caller = if is_brought_along(name) { inlined.caller(row.address(), &home) } else { None };
            let (name, line) = caller.unwrap_or_else(|| (name.clone(), line.get()));
            let file = builder.file(&name);
            if !builder.row(offset, file, line) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether a file is of the language's library or of a package, and not of the guest's own source.
fn is_brought_along(name: &str) -> bool {
    name.starts_with("/rustc/") || name.contains("/.cargo/registry/") || name.contains("/rustlib/")
}

/// Finds the own code into which a function that was brought along was inlined.
struct Inlined<'a> {
    context: Option<Context<Slice<'a>>>,
    looks_left: usize,
}

impl Inlined<'_> {
    /// File and line of the innermost own code at this address.
    fn caller(&mut self, address: u64, home: &str) -> Option<(String, u64)> {
        self.looks_left = self.looks_left.checked_sub(1)?;
        let mut frames = self.context.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        while let Some(frame) = frames.next().ok()? {
            let Some(location) = frame.location else { continue };
            if let (Some(file), Some(line)) = (location.file, location.line)
                && !is_brought_along(file)
            {
                let relative = file.strip_prefix(home).map_or(file, |file| file.trim_start_matches('/'));
                return Some((relative.to_owned(), line.into()));
            }
        }
        None
    }
}

/// A file's path: relative to where it was compiled, if it was compiled so.
fn path<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    header: &LineProgramHeader<Slice<'a>>,
    index: u64,
) -> Option<String> {
    let file = header.file(index)?;
    let text = |value| Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    let name = text(file.path_name())?;
    // Directory 0 is the one in which it was compiled: it says nothing about the source.
    let directory = match file.directory_index() {
        0 => None,
        _ => file.directory(header).and_then(text),
    };
    Some(match directory {
        Some(directory) if !name.starts_with('/') => format!("{directory}/{name}"),
        _ => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component around a module with a code section of 100 bytes and these debug sections.
    fn component(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let section = |id: u8, body: &[u8]| {
            let length = body.len();
            let leb = [(length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
            [vec![id], leb.to_vec(), body.to_vec()].concat()
        };
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(section(10, &[[1, 98].as_slice(), &[0; 98]].concat()));
        for (name, bytes) in sections {
            module.extend(section(0, &[&[name.len() as u8], name.as_bytes(), bytes].concat()));
        }
        [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module)].concat()
    }

    #[test]
    fn random_debug_information_is_no_table_and_no_panic() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = |length: usize| -> Vec<u8> { (0..length).map(|_| random.u8(..)).collect() };
            // A unit header of version 4 before the noise, so that more than the header is read.
            let info = [vec![60, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0], bytes(48)].concat();
            let abbreviations = [vec![1, 0x11, 0, 0x10, 0x17, 0, 0, 0], bytes(8)].concat();
            let lines = [vec![80, 0, 0, 0, 4, 0, 20, 0, 0, 0, 1, 1, 0xfb, 14, 13], bytes(69)].concat();
            let _ = places(&component(&[
                (".debug_info", info),
                (".debug_abbrev", abbreviations),
                (".debug_line", lines),
            ]));
        }
        assert!(places(&component(&[])).at(20).is_none());
        assert!(places(b"").at(20).is_none());
    }
}
