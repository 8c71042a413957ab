//! A colour for each entity.
//!
//! Invariant: depends on the order of first appearance in the log only; neighbours in that order differ most.

use std::fmt;

/// A colour for an `#rrggbb` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

impl Colour {
    /// The light fill of an entity's events; dark text reads well on it.
    pub(super) fn of_entity(entity: u32) -> Colour {
        let lightness = [0.80, 0.70, 0.86][entity as usize / 12 % 3];
        Colour::from_hsl(hue(entity), 0.62, lightness)
    }

    /// The dark colour of the lines from an entity's events.
    pub(super) fn line_of_entity(entity: u32) -> Colour {
        Colour::from_hsl(hue(entity), 0.5, 0.42)
    }

    fn from_hsl(hue: f64, saturation: f64, lightness: f64) -> Colour {
        let chroma = saturation * lightness.min(1.0 - lightness);
        let part = |offset: f64| {
            let turn = (offset + hue / 30.0) % 12.0;
            let value = lightness - chroma * (turn - 3.0).min(9.0 - turn).clamp(-1.0, 1.0);
            (value * 255.0).round() as u8
        };
        Colour([part(0.0), part(8.0), part(4.0)])
    }
}

/// Multiples of the golden angle in degrees: any run of hues is spread evenly.
fn hue(entity: u32) -> f64 {
    f64::from(entity) * 137.507_764_05 % 360.0
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
