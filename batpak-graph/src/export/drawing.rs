//! Where everything stands in a layered drawing, in SVG user units.
//!
//! Invariant: no two events overlap, and every line runs downwards from its cause to its effect.

use super::Export;
use super::layering::Layering;

/// The width of an event.
pub(super) const EVENT_WIDTH: i32 = 150;
/// The height of an event.
pub(super) const EVENT_HEIGHT: i32 = 34;
/// The room between two events of a layer.
pub(super) const EVENT_GAP: i32 = 18;
/// The room for a line that passes a layer.
pub(super) const BEND_GAP: i32 = 12;
const ROW_GAP: i32 = 14;
const LAYER_GAP: i32 = 56;
const MARGIN: i32 = 30;

/// A layered drawing: one layer for each step of the longest chain, causes above effects.
#[derive(Debug, Clone)]
pub struct Drawing {
    places: Vec<Place>,
    lines: Vec<Line>,
    /// Top and bottom of each layer.
    layers: Vec<(i32, i32)>,
    width: i32,
    height: i32,
}

/// Where an event stands: its upper left corner, width and height, and its layer in this drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The left edge.
    pub x: i32,
    /// The upper edge.
    pub y: i32,
    /// The width.
    pub width: i32,
    /// The height.
    pub height: i32,
    /// The layer, from 0 at the top.
    pub layer: usize,
}

/// A line from a cause to its effect, both by their numbers in the drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The cause.
    pub cause: usize,
    /// The effect.
    pub effect: usize,
    /// Where the line passes each layer between the two; empty when it goes straight.
    pub bends: Vec<i32>,
}

impl Drawing {
    pub(super) fn new(export: &Export<'_>) -> Drawing {
        let layering = Layering::new(export);
        let mut layers = Vec::with_capacity(layering.rows.len());
        let mut top = MARGIN;
        for &rows in &layering.rows {
            let bottom = top + rows as i32 * (EVENT_HEIGHT + ROW_GAP) - ROW_GAP;
            layers.push((top, bottom));
            top = bottom + LAYER_GAP;
        }
        let left = layering.cells.iter().map(|cell| cell.x).min().unwrap_or(0);
        let right = layering.cells.iter().map(|cell| cell.x).max().unwrap_or(0);
        let shift = MARGIN + EVENT_WIDTH / 2 - left;
        let events = layering.cells.iter().take(export.nodes.len());
        let places = events.map(|cell| Place {
            x: cell.x + shift - EVENT_WIDTH / 2,
            y: layers[cell.layer].0 + cell.row as i32 * (EVENT_HEIGHT + ROW_GAP),
            width: EVENT_WIDTH,
            height: EVENT_HEIGHT,
            layer: cell.layer,
        });
        let places = places.collect();
        let lines = layering.chains.iter().map(|chain| Line {
            cause: chain.cause,
            effect: chain.effect,
            bends: chain.bends.iter().map(|&bend| layering.cells[bend].x + shift).collect(),
        });
        Drawing {
            places,
            lines: lines.collect(),
            width: right - left + EVENT_WIDTH + 2 * MARGIN,
            height: layers.last().map_or(MARGIN, |&(_, bottom)| bottom) + MARGIN,
            layers,
        }
    }

    /// The height of the whole.
    pub fn height(&self) -> i32 {
        self.height
    }

    /// Top and bottom of each layer.
    pub fn layers(&self) -> &[(i32, i32)] {
        &self.layers
    }

    /// The lines, by effect.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The places of the events, in the order of [`Export::nodes`].
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The points a line goes through, from the bottom of the cause to the top of the effect.
    pub fn route(&self, line: &Line) -> Vec<(i32, i32)> {
        let (cause, effect) = (self.places[line.cause], self.places[line.effect]);
        let mut points = vec![(cause.x + cause.width / 2, cause.y + cause.height)];
        let passed = self.layers.iter().skip(cause.layer + 1);
        for (&x, &(top, bottom)) in line.bends.iter().zip(passed) {
            points.extend([(x, top), (x, bottom)]);
        }
        points.push((effect.x + effect.width / 2, effect.y));
        points
    }

    /// The width of the whole.
    pub fn width(&self) -> i32 {
        self.width
    }
}
