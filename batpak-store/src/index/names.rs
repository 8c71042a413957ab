//! Names that many events share, each kept once under a small number.

use std::{collections::HashMap, sync::Arc};

/// A table of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    bytes: usize,
}

impl Names {
    pub(super) fn with_capacity(names: usize) -> Self {
        Self { numbers: HashMap::with_capacity(names), names: Vec::with_capacity(names), bytes: 0 }
    }

    /// Returns the number of a name, giving it one when it is new.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("four billion names do not fit in memory");
        let name: Arc<str> = name.into();
        self.bytes += name.len() + 16;
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)
    }

    /// The names in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.names.capacity() * size_of::<Arc<str>>()
            + self.numbers.capacity() * (size_of::<(Arc<str>, u32)>() + 1)
    }
}
