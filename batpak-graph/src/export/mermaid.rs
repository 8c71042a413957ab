//! A Mermaid flowchart.
//!
//! Invariant: events are named `n0`, `n1`, ... and causes from outside `x0`, ...; a foreign name only stands
//! between quotes, with all signs as character codes.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::colour::Colour;
use super::{Export, Mark, text};

impl Export<'_> {
    /// Writes a Mermaid flowchart; its arrows lead from cause to effect.
    ///
    /// Most pages that show Mermaid refuse more than 500 edges or 50,000 characters.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn mermaid(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("---\ntitle: \"")?;
        text::mermaid(out, &self.title)?;
        out.write_str("\"\n---\nflowchart TD\n")?;
        for (number, event) in self.events().enumerate() {
            write!(out, "  n{number}[\"")?;
            text::mermaid(out, &self.headline(&event))?;
            if let Some(payload) = self.notes.payload(&event) {
                out.write_str(" ")?;
                text::mermaid(out, &payload)?;
            }
            out.write_str("\"]\n")?;
        }
        for number in 0..self.nodes.len() {
            for cause in self.causes(number) {
                writeln!(out, "  n{cause} --> n{number}")?;
            }
        }
        for (stranger, ((id, word), named_by)) in self.strangers().into_iter().enumerate() {
            writeln!(out, "  x{stranger}([\"{word} {id}\"])")?;
            for number in named_by {
                writeln!(out, "  x{stranger} -.-> n{number}")?;
            }
        }
        self.mermaid_classes(out)
    }

    fn mermaid_classes(&self, out: &mut dyn Write) -> fmt::Result {
        let mut entities: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let (mut shredded, mut denials) = (Vec::new(), Vec::new());
        for (number, event) in self.events().enumerate() {
            entities.entry(self.entity(number)).or_default().push(number);
            match self.notes.mark(&event) {
                Mark::Denial => denials.push(number),
                Mark::Plain => {}
                Mark::Shredded => shredded.push(number),
            }
        }
        for (entity, numbers) in entities {
            let fill = Colour::of_entity(entity);
            class(out, &format!("e{entity}"), &format!("fill:{fill},color:#101010"), &numbers)?;
        }
        class(out, "shredded", "stroke:#606060,stroke-width:2px,stroke-dasharray:5 3", &shredded)?;
        class(out, "denial", "stroke:#c00000,stroke-width:4px", &denials)
    }
}

fn class(out: &mut dyn Write, name: &str, style: &str, numbers: &[usize]) -> fmt::Result {
    if numbers.is_empty() {
        return Ok(());
    }
    writeln!(out, "  classDef {name} {style}")?;
    let names: Vec<String> = numbers.iter().map(|number| format!("n{number}")).collect();
    writeln!(out, "  class {} {name}", names.join(","))
}
