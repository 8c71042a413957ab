//! The DOT language of Graphviz.
//!
//! Invariant: events are named `n0`, `n1`, ... and causes from outside `x0`, ...; a foreign name only stands
//! between quotes.

use std::fmt::{self, Write};

use super::colour::Colour;
use super::{Export, Mark, text};

impl Export<'_> {
    /// Writes a DOT digraph; its edges lead from cause to effect.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn dot(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("digraph {\n  label=\"")?;
        text::dot(out, &self.title)?;
        out.write_str("\";\n  labelloc=t;\n  rankdir=TB;\n")?;
        out.write_str("  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\", fontsize=10];\n")?;
        for number in 0..self.nodes.len() {
            self.dot_event(out, number)?;
        }
        for number in 0..self.nodes.len() {
            for cause in self.causes(number) {
                writeln!(out, "  n{cause} -> n{number};")?;
            }
        }
        for (stranger, ((id, word), named_by)) in self.strangers().into_iter().enumerate() {
            writeln!(out, "  x{stranger} [label=\"{word}\\n{id}\", style=dashed];")?;
            for number in named_by {
                writeln!(out, "  x{stranger} -> n{number} [style=dashed];")?;
            }
        }
        out.write_str("}\n")
    }

    fn dot_event(&self, out: &mut dyn Write, number: usize) -> fmt::Result {
        let event = self.graph.event(self.nodes[number]);
        write!(out, "  n{number} [label=\"")?;
        text::dot(out, &self.headline(&event))?;
        out.write_str("\", tooltip=\"")?;
        for (word, value) in self.details(number, &event) {
            write!(out, "{word}: ")?;
            text::dot(out, &value)?;
            out.write_str("\\n")?;
        }
        write!(out, "\", fillcolor=\"{}\"", Colour::of_entity(self.entity(number)))?;
        out.write_str(match self.notes.mark(&event) {
            Mark::Denial => ", shape=octagon, color=\"#c00000\", penwidth=3",
            Mark::Plain => "",
            Mark::Shredded => ", style=\"filled,rounded,dashed\", fontcolor=\"#606060\", penwidth=2",
        })?;
        out.write_str("];\n")
    }
}
