//! A line of entries, first in first out, in pieces of a fixed size: a deque in one piece would have twice the room that it
//! needs when it has just grown, and would keep the room of its longest day for ever.

use std::collections::VecDeque;

/// Entries in one piece: as many as a worker takes at a time, so that a piece costs one allocation for a whole claim.
const PIECE_ENTRIES: usize = crate::limits::CLAIM_ENTRIES_MAX;

/// A line. A piece without entries is there only if it is the only one.
pub(super) struct Line<T> {
    pieces: VecDeque<VecDeque<T>>,
    /// An empty piece that is used next, so that a line that keeps its length allocates nothing.
    spare: Option<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), spare: None, len: 0 }
    }
}

impl<T> Line<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.pieces.front()?.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    pub(super) fn push_back(&mut self, item: T) {
        self.len += 1;
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE_ENTRIES => last.push_back(item),
            _ => {
                let mut piece = self.new_piece();
                piece.push_back(item);
                self.pieces.push_back(piece);
            }
        }
    }

    pub(super) fn push_front(&mut self, item: T) {
        self.len += 1;
        match self.pieces.front_mut() {
            Some(first) if first.len() < PIECE_ENTRIES => first.push_front(item),
            _ => {
                let mut piece = self.new_piece();
                piece.push_front(item);
                self.pieces.push_front(piece);
            }
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.pieces.front_mut()?;
        let item = first.pop_front()?;
        self.len -= 1;
        if first.is_empty() {
            self.let_go_of_first();
        }
        Some(item)
    }

    /// Moves up to `count` items from the front to the end of `to`; a whole piece at once where `to` is empty.
    pub(super) fn move_front(&mut self, count: usize, to: &mut VecDeque<T>) {
        let mut left = count.min(self.len);
        self.len -= left;
        while left > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let now = first.len().min(left);
            if now == first.len() && to.is_empty() {
                std::mem::swap(first, to);
            } else {
                to.extend(first.drain(..now));
            }
            left -= now;
            if first.is_empty() {
                self.let_go_of_first();
            }
        }
    }

    /// The first piece of all grows as it is filled: most lines stay short.
    fn new_piece(&mut self) -> VecDeque<T> {
        match self.spare.take() {
            Some(spare) => spare,
            None if self.pieces.is_empty() => VecDeque::with_capacity(1),
            None => VecDeque::with_capacity(PIECE_ENTRIES),
        }
    }

    /// The first piece is empty: it goes, unless it is the only one. With it goes what the list of pieces needed when the
    /// line was long.
    fn let_go_of_first(&mut self) {
        if self.pieces.len() == 1 {
            return;
        }
        self.spare = self.pieces.pop_front();
        if self.pieces.len() == 1 && self.pieces.capacity() > PIECE_ENTRIES {
            self.pieces.shrink_to(PIECE_ENTRIES);
        }
    }
}

impl<T> IntoIterator for Line<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::collections::vec_deque::IntoIter<VecDeque<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

impl<T> Extend<T> for Line<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push_back(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next of numbers that look like chance and are the same in each run.
    fn next(seed: &mut u32) -> usize {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 16) as usize
    }

    #[test]
    fn a_line_is_a_deque_whatever_is_done_to_it() {
        let (mut line, mut deque, mut seed) = (Line::default(), VecDeque::new(), 7);
        for step in 0..20_000 {
            // Runs of one kind, so that it grows over many pieces and gets empty again.
            let kind = next(&mut seed) % 5;
            for _ in 0..next(&mut seed) % 100 {
                match kind {
                    0 => {
                        line.push_back(step);
                        deque.push_back(step);
                    }
                    1 => {
                        line.push_front(step);
                        deque.push_front(step);
                    }
                    2 => {
                        let (count, mut moved) = (next(&mut seed) % 40, VecDeque::new());
                        // Twice, so that it comes to what is there already.
                        line.move_front(count, &mut moved);
                        line.move_front(1, &mut moved);
                        let expected = deque.drain(..(count + 1).min(deque.len()));
                        assert!(expected.eq(moved));
                    }
                    _ => assert_eq!(line.pop_front(), deque.pop_front()),
                }
                assert_eq!(
                    (line.len(), line.is_empty(), line.front()),
                    (deque.len(), deque.is_empty(), deque.front())
                );
            }
            if step % 100 == 0 {
                line.iter_mut().chain(&mut deque).for_each(|item| *item += 1);
                assert!(line.pieces.iter().all(|piece| piece.len() <= PIECE_ENTRIES));
            }
        }
        assert!(line.into_iter().eq(deque));
    }

    #[test]
    fn a_line_that_was_long_gives_its_room_back() {
        let mut line = Line::default();
        line.extend(0..100_000);
        assert!(line.pieces.len() > 3_000);
        while line.pop_front().is_some() {}
        assert_eq!((line.pieces.len(), line.front()), (1, None));
        assert!(line.pieces.capacity() <= PIECE_ENTRIES + 1, "{}", line.pieces.capacity());
    }
}
