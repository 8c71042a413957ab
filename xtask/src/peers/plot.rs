//! A small writer of plots as SVG: lines over two axes, each linear or by powers of ten, and bars.
//!
//! Invariant: text is escaped, numbers have at most two decimals, and nothing is drawn outside of its frame.

/// How a value becomes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Powers,
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Where there is a mark, and what stands at it.
    pub(super) marks: Vec<(f64, String)>,
}

/// One line, by its points.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: &'static str,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 74.0;
const TOP: f64 = 54.0;
const PLOT_WIDTH: f64 = 440.0;
const PLOT_HEIGHT: f64 = 310.0;
const LEGEND_AT: f64 = LEFT + PLOT_WIDTH + 18.0;
const ROW: f64 = 22.0;
const BAR_LABEL: f64 = 330.0;
const BAR_WIDTH: f64 = 340.0;

impl Axis {
    /// Makes an axis by powers of ten around all values.
    pub(super) fn powers(title: &str, values: impl Iterator<Item = f64>, shown: impl Fn(f64) -> String) -> Axis {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).min(1e9).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(low + 1.0).ceil();
        let marks = (low as i32..=high as i32).map(|power| (10f64.powi(power), shown(10f64.powi(power)))).collect();
        Axis { title: title.to_owned(), scale: Scale::Powers, from: 10f64.powf(low), to: 10f64.powf(high), marks }
    }

    /// The share of the axis that lies before a value, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Powers => value.max(f64::MIN_POSITIVE).log10(),
        };
        ((place(value) - place(self.from)) / (place(self.to) - place(self.from))).clamp(0.0, 1.0)
    }
}

/// Draws lines with a legend at their right.
pub(super) fn lines(title: &str, across: &Axis, up: &Axis, series: &[Series]) -> String {
    let mut svg = head(title, WIDTH, HEIGHT);
    let x = |value| LEFT + PLOT_WIDTH * across.share(value);
    let y = |value| TOP + PLOT_HEIGHT * (1.0 - up.share(value));
    let bottom = TOP + PLOT_HEIGHT;
    for (value, label) in &across.marks {
        svg += &rule((x(*value), TOP), (x(*value), bottom));
        svg += &text((x(*value), bottom + 18.0), "middle", label);
    }
    for (value, label) in &up.marks {
        svg += &rule((LEFT, y(*value)), (LEFT + PLOT_WIDTH, y(*value)));
        svg += &text((LEFT - 8.0, y(*value) + 4.0), "end", label);
    }
    svg += &text((LEFT + PLOT_WIDTH / 2.0, bottom + 40.0), "middle", &across.title);
    svg += &text((LEFT - 60.0, TOP - 12.0), "start", &up.title);
    for (at, line) in series.iter().enumerate() {
        let points: Vec<String> = line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
        let dash = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let colour = line.colour;
        svg += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{}\"/>\n",
            points.join(" ")
        );
        for (a, b) in &line.points {
            svg += &format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>\n", x(*a), y(*b));
        }
        let row = TOP + 10.0 + at as f64 * ROW;
        svg += &format!(
            "<line x1=\"{LEGEND_AT:.1}\" y1=\"{row:.1}\" x2=\"{:.1}\" y2=\"{row:.1}\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\n",
            LEGEND_AT + 24.0
        );
        svg += &text((LEGEND_AT + 30.0, row + 4.0), "start", &line.name);
    }
    svg + "</svg>\n"
}

/// Draws one bar a row, with its value behind it; an axis by powers of ten begins below the smallest.
pub(super) fn bars(title: &str, axis: &Axis, rows: &[(String, &'static str, f64, String)]) -> String {
    let height = TOP + ROW * rows.len() as f64 + 44.0;
    let mut svg = head(title, WIDTH, height);
    let bottom = TOP + ROW * rows.len() as f64 + 4.0;
    for (value, label) in &axis.marks {
        let x = BAR_LABEL + BAR_WIDTH * axis.share(*value);
        svg += &rule((x, TOP - 4.0), (x, bottom));
        svg += &text((x, bottom + 16.0), "middle", label);
    }
    for (at, (name, colour, value, label)) in rows.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let width = BAR_WIDTH * axis.share(*value);
        svg += &text((BAR_LABEL - 8.0, y + 13.0), "end", name);
        svg += &format!(
            "<rect x=\"{BAR_LABEL:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>\n"
        );
        svg += &text((BAR_LABEL + width + 6.0, y + 13.0), "start", label);
    }
    svg + "</svg>\n"
}

fn head(title: &str, width: f64, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"14\" y=\"20\" font-size=\"14\" font-weight=\"bold\" fill=\"#222222\">{title}</text>\n"
    )
}

fn rule(from: (f64, f64), to: (f64, f64)) -> String {
    let ((x1, y1), (x2, y2)) = (from, to);
    format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>\n")
}

fn text((x, y): (f64, f64), anchor: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333333\">{}</text>\n", escaped(words))
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_by_powers_reaches_around_its_values() {
        let axis = Axis::powers("t", [30.0, 2000.0].into_iter(), |value| value.to_string());
        assert_eq!((axis.from, axis.to), (10.0, 10_000.0));
        assert_eq!(axis.marks.len(), 4);
        assert!((axis.share(100.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(axis.share(1e9), 1.0);
    }

    #[test]
    fn lines_escape_their_words_and_draw_each_point() {
        let axis = Axis::powers("a < b", [1.0, 100.0].into_iter(), |value| value.to_string());
        let series = Series {
            name: "s & t".to_owned(),
            colour: "#000000",
            dashed: true,
            points: vec![(1.0, 1.0), (10.0, 100.0)],
        };
        let svg = lines("title", &axis, &axis, &[series]);
        assert!(svg.contains("a &lt; b") && svg.contains("s &amp; t"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("points=\"74.0,364.0 294.0,54.0\""));
    }
}
