//! An SVG image, drawn here.
//!
//! Invariant: it holds no script, no style sheet and no reference to anything outside of it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::colour::Colour;
use super::drawing::{Drawing, EVENT_HEIGHT, EVENT_WIDTH, Line, Place};
use super::{Export, Mark, mark_word, text};

/// The height of title and legend.
const HEAD: i32 = 84;
const LEGEND_WIDTH: i32 = 170;
const LEGEND_ENTRIES_MAX: usize = 12;
const WIDTH_MIN: i32 = 900;
/// Characters of a name that an event has room for.
const NAME_CHARACTERS_MAX: usize = 22;

impl Export<'_> {
    /// Writes an SVG image: layers by causality, colours by entity, and marks.
    ///
    /// An event is an element `svg` with the class `event` and a number, with all details in its title; a
    /// cause is a `path` with the numbers of its two events.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn svg(&self, out: &mut dyn Write) -> fmt::Result {
        let drawing = self.drawing();
        let (width, height) = (drawing.width().max(WIDTH_MIN), drawing.height() + HEAD);
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n<title>"
        )?;
        text::xml(out, &self.title)?;
        writeln!(out, "</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>")?;
        self.svg_head(out, width)?;
        writeln!(out, "<g transform=\"translate(0 {HEAD})\">")?;
        out.write_str("<g fill=\"none\" stroke-opacity=\"0.75\" stroke-width=\"1.3\">\n")?;
        for line in drawing.lines() {
            self.svg_line(out, &drawing, line)?;
        }
        out.write_str("</g>\n")?;
        for (number, place) in drawing.places().iter().enumerate() {
            self.svg_event(out, number, *place)?;
        }
        out.write_str("</g>\n</svg>\n")
    }

    /// Title and legend: the entities with most events.
    fn svg_head(&self, out: &mut dyn Write, width: i32) -> fmt::Result {
        out.write_str("<text x=\"30\" y=\"26\" font-size=\"16\" font-weight=\"bold\">")?;
        text::xml(out, &self.title)?;
        out.write_str("</text>\n")?;
        let mut entities: BTreeMap<u32, (usize, &str)> = BTreeMap::new();
        for (number, event) in self.events().enumerate() {
            entities.entry(self.entity(number)).or_insert((0, event.entity())).0 += 1;
        }
        let mut entities: Vec<_> = entities.into_iter().collect();
        entities.sort_by_key(|&(_, (count, _))| std::cmp::Reverse(count));
        let room = usize::try_from((width - 60) / LEGEND_WIDTH).unwrap_or(0).min(LEGEND_ENTRIES_MAX);
        for (at, (entity, (count, name))) in entities.iter().take(room).enumerate() {
            let x = 30 + at as i32 * LEGEND_WIDTH;
            write!(
                out,
                "<rect x=\"{x}\" y=\"38\" width=\"12\" height=\"12\" fill=\"{}\" stroke=\"#505050\"/>\
                 <text x=\"{}\" y=\"48\">",
                Colour::of_entity(*entity),
                x + 17
            )?;
            text::xml(out, &shortened(name, 18))?;
            writeln!(out, " ({count})</text>")?;
        }
        out.write_str("<text x=\"30\" y=\"70\" fill=\"#505050\">")?;
        if entities.len() > room {
            let more = entities.len() - room;
            write!(out, "and {more} more {} · ", if more == 1 { "entity" } else { "entities" })?;
        }
        let count = self.nodes.len();
        writeln!(
            out,
            "{count} events, causes above effects · dashed with ×: shredded · red octagon: denial · \
             triangle: causes from outside</text>"
        )
    }

    fn svg_line(&self, out: &mut dyn Write, drawing: &Drawing, line: &Line) -> fmt::Result {
        let points = drawing.route(line);
        out.write_str("<path d=\"")?;
        for (at, &(x, y)) in points.iter().enumerate() {
            if at == 0 {
                write!(out, "M{x} {y}")?;
            } else if at % 2 == 0 {
                // Between an even point and the one before lies a layer that the line passes.
                write!(out, "L{x} {y}")?;
            } else {
                let (before_x, before_y) = points[at - 1];
                let middle = before_y + (y - before_y) / 2;
                write!(out, "C{before_x} {middle} {x} {middle} {x} {y}")?;
            }
        }
        let Line { cause, effect, .. } = line;
        writeln!(
            out,
            "\" stroke=\"{}\" data-cause=\"{cause}\" data-effect=\"{effect}\"/>",
            Colour::line_of_entity(self.entity(*cause))
        )
    }

    fn svg_event(&self, out: &mut dyn Write, number: usize, place: Place) -> fmt::Result {
        let event = self.graph.event(self.nodes[number]);
        let mark = self.notes.mark(&event);
        let Place { x, y, .. } = place;
        write!(
            out,
            "<svg class=\"event\" data-event=\"{number}\" data-mark=\"{}\" x=\"{x}\" y=\"{y}\" \
             width=\"{EVENT_WIDTH}\" height=\"{EVENT_HEIGHT}\"><title>",
            mark_word(mark)
        )?;
        for (word, value) in self.details(number, &event) {
            write!(out, "{word}: ")?;
            text::xml(out, &value)?;
            out.write_str("&#10;")?;
        }
        out.write_str("</title>")?;
        self.svg_box(out, number, mark)?;
        let name = self.notes.label(&event).unwrap_or_else(|| event.entity().to_owned());
        let ink = if mark == Mark::Shredded { "#6a6a6a" } else { "#101010" };
        write!(out, "<text x=\"9\" y=\"14\" fill=\"{ink}\">")?;
        text::xml(out, &shortened(&name, NAME_CHARACTERS_MAX))?;
        write!(out, "</text><text x=\"9\" y=\"27\" font-size=\"9\" fill=\"#505050\">")?;
        writeln!(out, "#{} · {}</text></svg>", event.position(), event.kind())
    }

    /// The outline and the marks of an event, within its own coordinates.
    fn svg_box(&self, out: &mut dyn Write, number: usize, mark: Mark) -> fmt::Result {
        let (width, height) = (EVENT_WIDTH - 2, EVENT_HEIGHT - 2);
        let stroke = match mark {
            Mark::Denial => "#c00000\" stroke-width=\"2",
            Mark::Plain => "#505050",
            Mark::Shredded => "#505050\" stroke-dasharray=\"5 3",
        };
        write!(
            out,
            "<rect x=\"1\" y=\"1\" width=\"{width}\" height=\"{height}\" rx=\"5\" fill=\"{}\" stroke=\"{stroke}\"/>",
            Colour::of_entity(self.entity(number))
        )?;
        if self.graph.event(self.nodes[number]).causes_unfollowed().next().is_some() {
            out.write_str("<path d=\"M1 1h9l-9 9z\" fill=\"#505050\"/>")?;
        }
        out.write_str(match mark {
            Mark::Denial => {
                "<path d=\"M137 8h6l4 4v6l-4 4h-6l-4-4v-6z\" fill=\"#c00000\"/>\
                 <path d=\"M136 15h8\" stroke=\"#ffffff\" stroke-width=\"2.4\"/>"
            }
            Mark::Plain => "",
            Mark::Shredded => "<path d=\"M134 9l12 12M146 9l-12 12\" stroke=\"#505050\" stroke-width=\"2\"/>",
        })
    }
}

fn shortened(name: &str, characters_max: usize) -> String {
    match name.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
