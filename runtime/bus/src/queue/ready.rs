//! What can be taken now: in the order of acceptance, or, where priorities count, the highest first and in the order of
//! acceptance within one. It counts nothing.

use std::collections::VecDeque;

use super::line::Line;
use crate::entry::Entry;
use crate::limits::{PRIORITY_DEFAULT, PRIORITY_MAX};

/// One line for each priority, the highest first.
type Levels = [Line<Entry>; PRIORITY_MAX as usize + 1];

/// Entries that a worker could take at this moment.
#[derive(Default)]
pub(super) struct Ready {
    plain: Line<Entry>,
    /// None where priorities do not count.
    levels: Option<Box<Levels>>,
}

impl Ready {
    fn line(&mut self, entry: &Entry) -> &mut Line<Entry> {
        let Some(levels) = &mut self.levels else { return &mut self.plain };
        let asked = entry.message.options().and_then(|options| options.priority).unwrap_or(PRIORITY_DEFAULT);
        match levels.get_mut(usize::from(PRIORITY_MAX.saturating_sub(asked))) {
            Some(level) => level,
            None => &mut self.plain,
        }
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        self.line(&entry).push_back(entry);
    }

    /// Puts an entry before the others, or before the others of its priority.
    pub(super) fn push_front(&mut self, entry: Entry) {
        self.line(&entry).push_front(entry);
    }

    /// Puts an entry behind the last one of its priority that `is_before` names; false when there is none.
    pub(super) fn insert_behind(
        &mut self,
        entry: Entry,
        is_before: impl Fn(&Entry) -> bool,
    ) -> Result<(), Entry> {
        let line = self.line(&entry);
        let Some((last, _)) = line.iter().enumerate().filter(|(_, known)| is_before(known)).last() else {
            return Err(entry);
        };
        let before: Vec<Entry> = (0..=last).filter_map(|_| line.pop_front()).collect();
        line.push_front(entry);
        before.into_iter().rev().for_each(|entry| line.push_front(entry));
        Ok(())
    }

    pub(super) fn any(&self, is_one: impl Fn(&Entry) -> bool) -> bool {
        self.lines().flat_map(Line::iter).any(is_one)
    }

    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        match &mut self.levels {
            None => self.plain.pop_front(),
            Some(levels) => levels.iter_mut().find_map(Line::pop_front),
        }
    }

    /// Moves up to `count` entries from the front. None where priorities count: what is claimed could not be overtaken.
    pub(super) fn claim(&mut self, count: usize, to: &mut VecDeque<Entry>) {
        self.plain.move_front(count, to);
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.levels.iter().flat_map(|levels| levels.iter()).map(Line::len).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.levels.as_ref().is_none_or(|levels| levels.iter().all(Line::is_empty))
    }

    /// The oldest of each line.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &Entry> {
        self.lines().filter_map(Line::front)
    }

    fn lines(&self) -> impl Iterator<Item = &Line<Entry>> {
        std::iter::once(&self.plain).chain(self.levels.iter().flat_map(|levels| levels.iter()))
    }

    pub(super) fn lines_mut(&mut self) -> impl Iterator<Item = &mut Line<Entry>> {
        std::iter::once(&mut self.plain).chain(self.levels.iter_mut().flat_map(|levels| levels.iter_mut()))
    }

    /// Takes the entry that was accepted first, whatever its priority.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let oldest = |line: &&mut Line<Entry>| line.front().map(|entry| entry.message.accepted_at());
        self.lines_mut().filter(|line| !line.is_empty()).min_by_key(oldest)?.pop_front()
    }

    /// Takes everything, in the order in which it would be taken one by one.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Entry> + use<> {
        let levels = self.levels.as_mut().map(|levels| levels.each_mut().map(std::mem::take));
        std::mem::take(&mut self.plain).into_iter().chain(levels.into_iter().flatten().flatten())
    }

    /// Has priorities count from now on, or not any more. What waits keeps its order of acceptance within one.
    pub(super) fn set_priorities(&mut self, count: bool) {
        if count == self.levels.is_some() {
            return;
        }
        let mut all: Vec<Entry> = self.take_all().collect();
        all.sort_by_key(|entry| entry.message.accepted_at());
        self.levels = count.then(Box::default);
        all.into_iter().for_each(|entry| self.push_back(entry));
    }
}
