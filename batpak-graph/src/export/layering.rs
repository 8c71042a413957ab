//! The layered drawing: which layer, which order within it, and which x.
//!
//! Causes above effects, one layer a step of the longest chain, but what begins late stands right above what it led
//! to and not at the very top; order within a layer by the mean of the
//! neighbours (K. Sugiyama, S. Tagawa, M. Toda, 1981); then places as near to that mean as the order and the
//! widths allow, which is an isotonic regression (pool adjacent violators).
//!
//! Invariant: within a layer the columns keep their order and their distance, so nothing overlaps.

use super::Export;
use super::drawing::{BEND_GAP, EVENT_GAP, EVENT_WIDTH};

const SWEEPS: usize = 4;
const BALANCES: usize = 2;
/// A layer of more events than this, or than [`COLUMNS_BY_ROOT`] says, is drawn in several rows.
const COLUMNS_MIN: usize = 24;
const COLUMNS_BY_ROOT: f64 = 1.6;

/// A part of a layer: an event, or the place where a line passes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) layer: usize,
    pub(super) is_event: bool,
    /// The middle.
    pub(super) x: i32,
    pub(super) row: usize,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// A line from cause to effect, with the cells where it passes layers.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) cause: usize,
    pub(super) effect: usize,
    pub(super) bends: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Layering {
    /// The events first, by their numbers in the drawing; then the bends.
    pub(super) cells: Vec<Cell>,
    pub(super) chains: Vec<Chain>,
    /// The rows of each layer.
    pub(super) rows: Vec<usize>,
    layers: Vec<Vec<usize>>,
}

impl Layering {
    pub(super) fn new(export: &Export<'_>) -> Layering {
        let mut layering = Layering::of_events(export);
        layering.add_bends(4 * export.nodes.len() + 1_000);
        layering.layers = vec![Vec::new(); layering.rows.len()];
        for (cell, Cell { layer, .. }) in layering.cells.iter().enumerate() {
            layering.layers[*layer].push(cell);
        }
        let columns_max = (COLUMNS_BY_ROOT * (export.nodes.len() as f64).sqrt()) as usize;
        for (rows, cells) in layering.rows.iter_mut().zip(&layering.layers) {
            let events = cells.iter().filter(|&&cell| layering.cells[cell].is_event).count();
            *rows = events.div_ceil(columns_max.max(COLUMNS_MIN)).max(1);
        }
        layering.place();
        layering
    }

    fn of_events(export: &Export<'_>) -> Layering {
        let mut cells: Vec<Cell> = Vec::with_capacity(export.nodes.len());
        let mut chains = Vec::new();
        for number in 0..export.nodes.len() {
            let mut layer = 0;
            for cause in export.causes(number) {
                layer = layer.max(cells[cause].layer + 1);
                chains.push(Chain { cause, effect: number, bends: Vec::new() });
            }
            cells.push(Cell { layer, is_event: true, ..Cell::default() });
        }
        sink_late(&mut cells, &chains);
        let layers = cells.iter().map(|cell| cell.layer + 1).max().unwrap_or(0);
        Layering { cells, chains, rows: vec![1; layers], layers: Vec::new() }
    }

    /// Gives lines a cell in each layer they pass, the shortest first, as long as `bends_max` reaches.
    fn add_bends(&mut self, bends_max: usize) {
        let span = |chain: &Chain| self.cells[chain.effect].layer - self.cells[chain.cause].layer;
        let mut by_span: Vec<(usize, usize)> = self.chains.iter().map(span).zip(0..).collect();
        by_span.sort_unstable();
        let mut bends_left = bends_max;
        for (span, number) in by_span {
            // Spans only rise from here on, so once one does not fit, none of those behind it does.
            let bends = if span - 1 <= bends_left { span - 1 } else { 0 };
            bends_left -= bends;
            let chain = &mut self.chains[number];
            let first_layer = self.cells[chain.cause].layer + 1;
            let mut above = chain.cause;
            for layer in first_layer..first_layer + bends {
                let bend = self.cells.len();
                self.cells.push(Cell { layer, ..Cell::default() });
                chain.bends.push(bend);
                join(&mut self.cells, above, bend);
                above = bend;
            }
            join(&mut self.cells, above, chain.effect);
        }
    }

    fn place(&mut self) {
        let mut layers = std::mem::take(&mut self.layers);
        for layer in &mut layers {
            let wanted = vec![0.0; layer.len()];
            self.settle(layer, &wanted);
        }
        for _ in 0..SWEEPS {
            for layer in &mut layers {
                self.sort_and_settle(layer, |cell| &cell.above);
            }
            for layer in layers.iter_mut().rev() {
                self.sort_and_settle(layer, |cell| &cell.below);
            }
        }
        for _ in 0..BALANCES {
            for layer in &mut layers {
                let wanted: Vec<f64> = layer.iter().map(|&cell| self.balance(cell)).collect();
                self.settle(layer, &wanted);
            }
        }
        self.layers = layers;
    }

    fn sort_and_settle(&mut self, layer: &mut [usize], near: impl Fn(&Cell) -> &[usize]) {
        let mean = |&cell: &usize| (self.mean(cell, near(&self.cells[cell])), cell);
        let mut wanted: Vec<(f64, usize)> = layer.iter().map(mean).collect();
        wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (cell, &(_, sorted)) in layer.iter_mut().zip(&wanted) {
            *cell = sorted;
        }
        let wanted: Vec<f64> = wanted.into_iter().map(|(x, _)| x).collect();
        self.settle(layer, &wanted);
    }

    /// The mean x of the cells `near`, or the own one when there are none.
    fn mean(&self, cell: usize, near: &[usize]) -> f64 {
        if near.is_empty() {
            return f64::from(self.cells[cell].x);
        }
        let sum: f64 = near.iter().map(|&near| f64::from(self.cells[near].x)).sum();
        sum / near.len() as f64
    }

    fn balance(&self, cell: usize) -> f64 {
        let Cell { above, below, .. } = &self.cells[cell];
        let sides = [above, below].into_iter().filter(|near| !near.is_empty());
        let means: Vec<f64> = sides.map(|near| self.mean(cell, near)).collect();
        if means.is_empty() {
            return f64::from(self.cells[cell].x);
        }
        means.iter().sum::<f64>() / means.len() as f64
    }

    /// Places the cells of one layer, in this order, as near to where they are wanted as there is room.
    fn settle(&mut self, layer: &[usize], wanted: &[f64]) {
        let Some(&first) = layer.first() else { return };
        let columns = self.columns(layer, wanted, self.rows[self.cells[first].layer]);
        let mut blocks: Vec<Block> = Vec::new();
        let mut offset = 0;
        for (number, column) in columns.iter().enumerate() {
            if let Some(before) = number.checked_sub(1) {
                offset += columns[before].half() + column.half();
            }
            blocks.push(Block { sum: column.wanted_mean() - f64::from(offset), count: 1 });
            pool(&mut blocks);
        }
        let mut columns = columns.iter();
        let (mut offset, mut before) = (0, None);
        for block in blocks {
            let start = block.mean().floor() as i32;
            for column in columns.by_ref().take(block.count) {
                offset += before.map_or(0, |half: i32| half + column.half());
                before = Some(column.half());
                for (row, &cell) in column.cells.iter().enumerate() {
                    self.cells[cell].x = start + offset;
                    self.cells[cell].row = row;
                }
            }
        }
    }

    /// Stacks the events of a layer into columns of `rows`; each bend has a column of its own.
    fn columns(&self, layer: &[usize], wanted: &[f64], rows: usize) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::with_capacity(layer.len());
        let mut open: Option<usize> = None;
        for (&cell, &wanted) in layer.iter().zip(wanted) {
            let is_event = self.cells[cell].is_event;
            match open.filter(|&open| is_event && columns[open].cells.len() < rows) {
                Some(open) => {
                    columns[open].cells.push(cell);
                    columns[open].wanted_sum += wanted;
                }
                None => {
                    open = if is_event { Some(columns.len()) } else { open };
                    columns.push(Column { is_event, cells: vec![cell], wanted_sum: wanted });
                }
            }
        }
        columns
    }
}

/// Moves down what hangs from late beginnings alone: events without causes that have room to their effects, and the
/// events that follow only from such. The longest chain begins without room, so no layer empties.
fn sink_late(cells: &mut [Cell], chains: &[Chain]) {
    let free = lowest(cells, chains, &vec![true; cells.len()]);
    let mut is_loose: Vec<bool> = cells.iter().zip(&free).map(|(cell, &free)| cell.layer > 0 || free > 0).collect();
    for chain in chains {
        is_loose[chain.effect] &= is_loose[chain.cause];
    }
    let layers = lowest(cells, chains, &is_loose);
    for (cell, layer) in cells.iter_mut().zip(layers) {
        cell.layer = layer;
    }
}

/// The layer of each event when those that are loose move down as far as their effects let them.
fn lowest(cells: &[Cell], chains: &[Chain], is_loose: &[bool]) -> Vec<usize> {
    let mut effects_top: Vec<Option<usize>> = vec![None; cells.len()];
    let layer = |event: usize, top: Option<usize>| match top {
        Some(top) if is_loose[event] => top - 1,
        _ => cells[event].layer,
    };
    // Chains are sorted by effect, so from the end on an event's effects are placed before it is.
    for chain in chains.iter().rev() {
        let top = layer(chain.effect, effects_top[chain.effect]);
        let before = &mut effects_top[chain.cause];
        *before = Some(before.map_or(top, |before| before.min(top)));
    }
    effects_top.into_iter().enumerate().map(|(event, top)| layer(event, top)).collect()
}

fn join(cells: &mut [Cell], above: usize, below: usize) {
    cells[above].below.push(below);
    cells[below].above.push(above);
}

struct Column {
    is_event: bool,
    cells: Vec<usize>,
    wanted_sum: f64,
}

impl Column {
    /// Half of the width and of the gap, so that neighbours stand a whole gap apart.
    fn half(&self) -> i32 {
        if self.is_event { (EVENT_WIDTH + EVENT_GAP) / 2 } else { BEND_GAP / 2 }
    }

    fn wanted_mean(&self) -> f64 {
        self.wanted_sum / self.cells.len() as f64
    }
}

/// Neighbouring columns that touch.
struct Block {
    sum: f64,
    count: usize,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Joins the last blocks until their means rise.
fn pool(blocks: &mut Vec<Block>) {
    while let [.., before, last] = &mut blocks[..] {
        if before.mean() < last.mean() {
            return;
        }
        before.sum += last.sum;
        before.count += last.count;
        blocks.pop();
    }
}
