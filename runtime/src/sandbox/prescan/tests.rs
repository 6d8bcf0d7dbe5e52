//! The pre-scan on its own: kinds of files, and bombs made byte by byte. Whole components are tested in `tests/platform`.

use super::*;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A number as the format writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [vec![id], leb(body.len()), body.to_vec()].concat()
}

fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [COMPONENT.to_vec(), sections.concat()].concat()
}

#[test]
fn each_wrong_kind_of_file_is_told_what_it_is() {
    assert_eq!(prescan(b""), Err(PrescanError::Empty));
    assert_eq!(prescan(b"  (module)"), Err(PrescanError::Text));
    assert_eq!(prescan(b"\x7fELF\x02"), Err(PrescanError::Precompiled));
    assert_eq!(prescan(MODULE), Err(PrescanError::CoreModule));
    assert_eq!(prescan(b"#!/bin/sh\n"), Err(PrescanError::NotWebAssembly));
    assert!(matches!(prescan(&COMPONENT[..6]), Err(PrescanError::Damaged(_))));
    assert_eq!(prescan(COMPONENT), Ok(ComponentFigures::default()));
}

#[test]
fn random_bytes_end_in_an_error_and_never_in_a_panic() {
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = COMPONENT.to_vec();
        // Half of them are sections with a length that fits, so that more than the first byte is read.
        if random.bool() {
            for _ in 0..random.usize(1..4) {
                let body: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
                bytes.extend(section(random.u8(..14), &body));
            }
        } else {
            bytes.extend((0..random.usize(..200)).map(|_| random.u8(..)));
        }
        let _ = prescan(&bytes);
    }
}

#[test]
fn types_within_types_end_at_the_limit_of_nesting_and_not_at_the_end_of_the_stack() {
    // Each three bytes open one more: the parser follows them by recursion, the pre-scan does not.
    let deep = |levels: usize| {
        let opened = [0x42, 0x01, 0x01].repeat(levels);
        component(&[section(7, &[vec![1], opened, vec![0x42, 0x00]].concat())])
    };
    assert_eq!(prescan(&deep(3_000_000)), Err(PrescanError::TypeTooDeep));
    assert_eq!(prescan(&deep(100)), Err(PrescanError::TypeTooDeep));
    assert!(prescan(&deep(90)).is_ok());
}

#[test]
fn types_that_double_end_at_the_limit_of_what_they_are_written_out() {
    // `tuple<a, a>` again and again: forty lines are a million millions.
    let doubling = |lines: usize| {
        let mut body = leb(lines + 1);
        body.push(0x7f);
        for line in 0..lines {
            let index = leb(line);
            body.extend([vec![0x6f, 2], index.clone(), index].concat());
        }
        component(&[section(7, &body)])
    };
    assert_eq!(prescan(&doubling(40)), Err(PrescanError::TypeTooLarge));
    assert!(prescan(&doubling(10)).is_ok());
}

#[test]
fn lists_of_lists_end_at_the_limit_of_nesting() {
    let lists = |lines: usize| {
        let mut body = leb(lines + 1);
        body.push(0x7f);
        // References have a sign: two bytes, so that the first one's highest bit is none.
        let index = |line: usize| [(line & 0x7f) as u8 | 0x80, (line >> 7) as u8];
        (0..lines).for_each(|line| body.extend([&[0x70][..], &index(line)].concat()));
        component(&[section(7, &body)])
    };
    assert_eq!(prescan(&lists(200)), Err(PrescanError::TypeTooDeep));
    assert!(prescan(&lists(50)).is_ok());
}

#[test]
fn a_count_without_what_it_counts_is_damage_and_costs_nothing() {
    // A section that says "four thousand million types" and ends.
    let body = [vec![0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x7f]].concat();
    assert!(matches!(prescan(&component(&[section(7, &body)])), Err(PrescanError::Damaged(_))));
}

#[test]
fn nested_components_that_instantiate_each_other_twice_end_at_the_limit_of_instances() {
    // Component n holds n-1 and makes two instances of it: thirty levels are a thousand million.
    let level = |inner: &[u8]| {
        let two = section(5, &[2, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]);
        component(&[section(4, inner), two])
    };
    let levels = |count: usize| (0..count).fold(component(&[]), |inner, _| level(&inner));
    let few = prescan(&levels(5)).unwrap();
    assert_eq!((few.parts, few.instances), (5, 62));
    let what = "instances of its parts";
    let max = crate::limits::COMPONENT_INSTANCES_MAX;
    assert_eq!(prescan(&levels(30)), Err(PrescanError::TooMany { what, max }));
}

#[test]
fn a_component_that_takes_another_is_refused() {
    // What it would instantiate, and how often, comes from outside.
    let types = section(7, &[1, 0x41, 0x00]);
    let import = section(10, &[1, 0x00, 1, b'c', 0x04, 0x00]);
    assert_eq!(prescan(&component(&[types, import])), Err(PrescanError::TakesComponent));
}
