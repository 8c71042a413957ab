//! One HTML page that needs nothing else: data, style and script inside, drawn on a canvas.
//!
//! Invariant: foreign text is only in the JSON element (and, escaped, in the title); the script reads it as
//! data and shows it as text, never as markup. The page may load nothing and call no one.

use std::collections::HashMap;
use std::fmt::{self, Display, Write};

use super::colour::Colour;
use super::drawing::{Drawing, EVENT_HEIGHT, EVENT_WIDTH};
use super::{Export, Mark, reason_word, text};
use crate::node::Event;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// The first number that JavaScript cannot tell from its neighbours.
const NUMBER_END: u64 = 1 << 53;

impl Export<'_> {
    /// Writes a page with pan, zoom, search, details, and a slider over positions.
    ///
    /// For measuring, `body` carries `data-drawn-ms` (from the start of the script to the first drawing) and,
    /// after a search, `data-search-ms`.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn html(&self, out: &mut dyn Write) -> fmt::Result {
        for (at, part) in PAGE.split("{{").enumerate() {
            let Some((name, rest)) = part.split_once("}}").filter(|_| at > 0) else {
                out.write_str(part)?;
                continue;
            };
            match name {
                "log" => self.json(out)?,
                "script" => out.write_str(SCRIPT)?,
                "style" => out.write_str(STYLE)?,
                _ => text::xml(out, &self.title)?,
            }
            out.write_str(rest)?;
        }
        Ok(())
    }

    fn json(&self, out: &mut dyn Write) -> fmt::Result {
        let drawing = self.drawing();
        out.write_str("{\"title\":")?;
        text::json_name(out, &self.title)?;
        let (width, height) = (drawing.width(), drawing.height());
        write!(out, ",\"width\":{width},\"height\":{height}")?;
        write!(out, ",\"event\":{{\"width\":{EVENT_WIDTH},\"height\":{EVENT_HEIGHT}}}")?;
        self.json_names(out)?;
        self.json_columns(out, &drawing)?;
        self.json_lines(out, &drawing)?;
        self.json_some(out, "label", |event| self.notes.label(event), text::json_name)?;
        self.json_some(out, "payload", |event| self.notes.payload(event), text::json)?;
        let correlation = |event: &Event<'_>| event.correlation().map(|id| id.to_string());
        self.json_some(out, "correlation", correlation, text::json_name)?;
        self.json_outside(out)?;
        out.write_char('}')
    }

    /// Entities with their colours, scopes and kinds, each once, and their numbers by event.
    fn json_names(&self, out: &mut dyn Write) -> fmt::Result {
        let entities = Once::new(self.events().map(|event| event.entity()));
        let scopes = Once::new(self.events().map(|event| event.scope()));
        let kinds = Once::new(self.events().map(|event| event.kind()));
        let mut colours = vec![Colour::of_entity(0); entities.values.len()];
        for (number, &at) in entities.numbers.iter().enumerate() {
            colours[at] = Colour::of_entity(self.entity(number));
        }
        json_list(out, "entities", entities.values, |out, name| text::json_name(out, name))?;
        json_list(out, "scopes", scopes.values, |out, name| text::json_name(out, name))?;
        json_list(out, "kinds", kinds.values, |out, kind| write!(out, "\"{kind}\""))?;
        json_list(out, "colours", colours, |out, colour| write!(out, "\"{colour}\""))?;
        json_list(out, "entity", entities.numbers, show)?;
        json_list(out, "scope", scopes.numbers, show)?;
        json_list(out, "kind", kinds.numbers, show)
    }

    fn json_columns(&self, out: &mut dyn Write, drawing: &Drawing) -> fmt::Result {
        out.write_str(",\"ids\":\"")?;
        for event in self.events() {
            write!(out, "{:032x}", u128::from_be_bytes(*event.id().as_bytes()))?;
        }
        out.write_str("\",\"mark\":\"")?;
        for event in self.events() {
            out.write_char(match self.notes.mark(&event) {
                Mark::Plain => '0',
                Mark::Denial => '1',
                Mark::Shredded => '2',
            })?;
        }
        out.write_char('"')?;
        json_list(out, "position", self.events().map(|event| event.position()), |out, position| {
            if position < NUMBER_END { write!(out, "{position}") } else { write!(out, "\"{position}\"") }
        })?;
        json_list(out, "x", drawing.places().iter().map(|place| place.x), show)?;
        json_list(out, "y", drawing.places().iter().map(|place| place.y), show)?;
        json_list(out, "layer", drawing.places().iter().map(|place| place.layer), show)?;
        let edges = drawing.layers().iter().flat_map(|&(top, bottom)| [top, bottom]);
        json_list(out, "layers", edges, show)
    }

    /// Lines as one flat list: cause, effect, how many bends, the bends.
    fn json_lines(&self, out: &mut dyn Write, drawing: &Drawing) -> fmt::Result {
        let flat = drawing.lines().iter().flat_map(|line| {
            let ends = [line.cause, line.effect, line.bends.len()];
            ends.into_iter().map(|number| number as i64).chain(line.bends.iter().map(|&x| i64::from(x)))
        });
        json_list(out, "lines", flat, show)
    }

    /// An object from number to text, of the events that have one.
    fn json_some(
        &self,
        out: &mut dyn Write,
        name: &str,
        of: impl Fn(&Event<'_>) -> Option<String>,
        write: fn(&mut dyn Write, &str) -> fmt::Result,
    ) -> fmt::Result {
        write!(out, ",\"{name}\":{{")?;
        let some = self.events().enumerate().filter_map(|(number, event)| Some((number, of(&event)?)));
        for (at, (number, value)) in some.enumerate() {
            write!(out, "{}\"{number}\":", if at == 0 { "" } else { "," })?;
            write(out, &value)?;
        }
        out.write_char('}')
    }

    /// The causes of events that are not drawn: an object from number to pairs of word and text.
    fn json_outside(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(",\"outside\":{")?;
        let mut before = "";
        for (number, event) in self.events().enumerate() {
            let unfollowed = event.causes_unfollowed();
            let mut pairs: Vec<(&str, String)> =
                unfollowed.map(|cause| (reason_word(cause.reason), cause.id.to_string())).collect();
            let left_out = self.causes_left_out(number);
            pairs.extend((left_out > 0).then(|| ("causes not drawn", left_out.to_string())));
            if pairs.is_empty() {
                continue;
            }
            let pairs: Vec<String> = pairs.iter().map(|(word, text)| format!("[\"{word}\",\"{text}\"]")).collect();
            write!(out, "{before}\"{number}\":[{}]", pairs.join(","))?;
            before = ",";
        }
        out.write_char('}')
    }
}

/// Values each once, in order of first appearance, and their numbers.
struct Once<T> {
    values: Vec<T>,
    numbers: Vec<usize>,
}

impl<T: std::hash::Hash + Eq + Copy> Once<T> {
    fn new(all: impl Iterator<Item = T>) -> Once<T> {
        let mut known: HashMap<T, usize> = HashMap::new();
        let mut values = Vec::new();
        let numbers = all.map(|value| {
            *known.entry(value).or_insert_with(|| {
                values.push(value);
                values.len() - 1
            })
        });
        let numbers = numbers.collect();
        Once { values, numbers }
    }
}

fn show(out: &mut dyn Write, value: impl Display) -> fmt::Result {
    write!(out, "{value}")
}

fn json_list<T>(
    out: &mut dyn Write,
    name: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut dyn Write, T) -> fmt::Result,
) -> fmt::Result {
    write!(out, ",\"{name}\":[")?;
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        write(out, item)?;
    }
    out.write_char(']')
}
