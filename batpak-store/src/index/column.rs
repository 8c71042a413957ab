//! A column of plain values in pieces of fixed size.
//!
//! Invariant: a push never moves what is there, so no push costs more than one piece; a growing `Vec` would copy everything while
//! the commit lock is held.

const PIECE: usize = 4096;

/// A grow-only sequence that is cut only at its end.
#[derive(Clone, Debug)]
pub(super) struct Column<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T: Copy> Column<T> {
    pub(super) const fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, at: usize) -> Option<T> {
        self.pieces.get(at / PIECE)?.get(at % PIECE).copied()
    }

    pub(super) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(value);
            self.len += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let piece = self.pieces.last_mut()?;
        let value = piece.pop()?;
        if piece.is_empty() {
            self.pieces.pop();
        }
        self.len -= 1;
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.pieces.iter().flatten().copied()
    }

    pub(super) fn bytes(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<T>() + self.pieces.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_returns_what_was_pushed_across_pieces() {
        let mut column = Column::new();
        for value in 0..PIECE as u64 * 2 + 3 {
            column.push(value);
        }
        assert_eq!(column.len(), PIECE * 2 + 3);
        assert_eq!(column.get(PIECE), Some(PIECE as u64));
        assert_eq!(column.get(PIECE * 2 + 3), None);
    }

    #[test]
    fn column_pop_crosses_a_piece_and_goes_on() {
        let mut column = Column::new();
        for value in 0..PIECE as u64 + 1 {
            column.push(value);
        }
        assert_eq!(column.pop(), Some(PIECE as u64));
        assert_eq!(column.pop(), Some(PIECE as u64 - 1));
        column.push(7);
        assert_eq!((column.len(), column.get(PIECE - 1)), (PIECE, Some(7)));
    }
}
