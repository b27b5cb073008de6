//! Bars with their spread, as SVG that is legible on a light page and on a dark one.

use std::fmt::Write;

use crate::{figures::Spread, report::number};

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 120.0;
const LONGEST: f64 = 400.0;
const BAR: f64 = 14.0;
const STEP: f64 = 19.0;
const HEAD: f64 = 26.0;
const GAP: f64 = 12.0;
/// Colours that both pages have: by the place of a bar in its group.
const CLASSES: [&str; 3] = ["one", "two", "three"];
const STYLE: &str = "<style>\
    svg{font:12px system-ui,sans-serif}.back{fill:#fff}\
    text{fill:#1f2328}.what{font-weight:600}.quiet{fill:#59636e}\
    .one{fill:#2f6fbb}.two{fill:#a3adb8}.three{fill:#6aa84f}\
    .spread{stroke:#1f2328;stroke-width:1.2;fill:none}\
    .mark{stroke:#c2410c;stroke-width:2;stroke-dasharray:4 2}.asked{fill:#c2410c}\
    @media(prefers-color-scheme:dark){.back{fill:#0d1117}text{fill:#e6edf3}\
    .quiet{fill:#9198a1}.one{fill:#4c8fdc}.two{fill:#626c77}.spread{stroke:#e6edf3}\
    .mark{stroke:#f0883e}.asked{fill:#f0883e}}</style>";

/// Bars that are drawn to one scale.
pub(crate) struct Group {
    pub(crate) what: String,
    pub(crate) bars: Vec<(String, Spread)>,
    /// What is asked for, and how it is said.
    pub(crate) mark: Option<(f64, String)>,
}

/// The picture of several groups, each to a scale of its own.
pub(crate) fn draw(title: &str, groups: &[Group]) -> String {
    let mut top = 34.0;
    let mut body = format!("<text x=\"12\" y=\"22\" class=\"what\">{}</text>\n", safe(title));
    for group in groups {
        group.draw(top, &mut body);
        top += group.height();
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" \
         role=\"img\" aria-label=\"{}\">\n{STYLE}\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{top}\"/>\n{body}</svg>\n",
        safe(title)
    )
}

impl Group {
    fn height(&self) -> f64 {
        let rows = self.bars.iter().map(|_| STEP).chain(self.mark.iter().map(|_| STEP));
        HEAD + rows.sum::<f64>() + GAP
    }

    fn draw(&self, top: f64, out: &mut String) {
        let most = self.bars.iter().map(|(_, spread)| spread.max).fold(0.0, f64::max);
        let mark = self.mark.as_ref().map_or(0.0, |(mark, _)| *mark);
        let full = most.max(mark).max(f64::MIN_POSITIVE);
        let at = |value: f64| LEFT + value / full * LONGEST;
        let first = top + HEAD;
        text(out, 12.0, top + 17.0, "what", &self.what);
        for ((bar, (name, spread)), class) in (0..).zip(&self.bars).zip(CLASSES.iter().cycle()) {
            let y = first + f64::from(bar) * STEP;
            let middle = y + BAR / 2.0;
            text(out, 12.0, y + 11.0, "quiet", name);
            let (end, min, max) = (at(spread.median), at(spread.min), at(spread.max));
            let (long, above) = (end - LEFT, middle - 3.0);
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{long:.1}\" height=\"{BAR}\" class=\"{class}\"/>\
                 <path d=\"M{min:.1} {middle}H{max:.1}M{min:.1} {above}v6M{max:.1} {above}v6\" \
                 class=\"spread\"/>"
            );
            let [median, min, max] = [spread.median, spread.min, spread.max].map(number);
            let told = if min == max { median } else { format!("{median} ({min} - {max})") };
            text(out, LEFT + LONGEST + 14.0, y + 11.0, "", &told);
        }
        if let Some((value, said)) = &self.mark {
            let x = at(*value);
            let length = self.height() - HEAD - GAP;
            let _ = writeln!(out, "<path d=\"M{x:.1} {first}v{length}\" class=\"mark\"/>");
            let below = first + length - STEP + 11.0;
            text(out, 12.0, below, "asked", "asked");
            text(out, LEFT + LONGEST + 14.0, below, "asked", said);
        }
    }
}

fn text(out: &mut String, x: f64, y: f64, class: &str, said: &str) {
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>", safe(said));
}

fn safe(said: &str) -> String {
    said.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
