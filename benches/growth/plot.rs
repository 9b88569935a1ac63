//! Lines over two logarithmic axes as SVG, to be read on light and on dark pages.

use std::fmt::Write;

/// Some panels beside and below each other.
pub struct Plot {
    pub title: String,
    pub panels: Vec<Panel>,
}

/// One pair of axes.
pub struct Panel {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub lines: Vec<Line>,
}

/// Points that belong together.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 470.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 34.0;
const LEGEND_ROW: f64 = 16.0;
const COLUMNS: usize = 2;

/// Colours that stand apart from each other, on white and on black; beyond them the lines are dashed.
const COLOURS: [&str; 8] =
    ["#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#06b6d4", "#ec4899", "#84a30f"];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:17px;font-weight:600}.p{font-weight:600}\
.g{stroke:#d0d7de;stroke-width:1}.a{stroke:#57606a;stroke-width:1.2}.b{fill:#ffffff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}.a{stroke:#8b949e}.b{fill:#0d1117}}";

impl Plot {
    /// The whole picture.
    pub fn svg(&self) -> String {
        let most = self.panels.iter().map(|it| it.lines.len()).max().unwrap_or(0);
        // Two names of lines beside each other.
        let panel_height = TOP + HEIGHT + 50.0 + LEGEND_ROW * most.div_ceil(2) as f64 + 14.0;
        let panel_width = LEFT + WIDTH + 26.0;
        let columns = self.panels.len().min(COLUMNS);
        let rows = self.panels.len().div_ceil(COLUMNS);
        let (width, height) = (panel_width * columns as f64, 44.0 + panel_height * rows as f64);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\"><title>{0}</title><style>{STYLE}</style><rect class=\"b\" width=\"{width}\" height=\"{height}\"/>\
             <text class=\"t\" x=\"16\" y=\"28\">{0}</text>\n",
            escaped(&self.title)
        );
        for (number, panel) in self.panels.iter().enumerate() {
            let (x, y) =
                ((number % COLUMNS) as f64 * panel_width, 44.0 + (number / COLUMNS) as f64 * panel_height);
            let _ = writeln!(out, "<g transform=\"translate({x} {y})\">{}</g>", panel.svg());
        }
        out + "</svg>\n"
    }
}

impl Panel {
    fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|it| &it.points);
        let (x_from, x_to) = decades(points().map(|it| it.0));
        let (y_from, y_to) = decades(points().map(|it| it.1));
        let x = |value: f64| LEFT + (value.log10() - x_from) / (x_to - x_from) * WIDTH;
        let y = |value: f64| TOP + HEIGHT - (value.log10() - y_from) / (y_to - y_from) * HEIGHT;
        let mut out =
            format!("<text class=\"p\" x=\"{LEFT}\" y=\"{}\">{}</text>", TOP - 12.0, escaped(&self.title));
        for power in x_from as i32..=x_to as i32 {
            let at = x(10f64.powi(power));
            let _ = write!(
                out,
                "<path class=\"g\" d=\"M{at:.1} {TOP}V{:.1}\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                TOP + HEIGHT,
                TOP + HEIGHT + 18.0,
                tick(power)
            );
        }
        for power in y_from as i32..=y_to as i32 {
            let at = y(10f64.powi(power));
            let _ = write!(
                out,
                "<path class=\"g\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT + WIDTH,
                LEFT - 8.0,
                at + 4.0,
                tick(power)
            );
        }
        let _ = write!(
            out,
            "<path class=\"a\" fill=\"none\" d=\"M{LEFT} {TOP}V{0:.1}H{1:.1}\"/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>\
             <text transform=\"translate(14 {5:.1}) rotate(-90)\" text-anchor=\"middle\">{6}</text>",
            TOP + HEIGHT,
            LEFT + WIDTH,
            LEFT + WIDTH / 2.0,
            TOP + HEIGHT + 36.0,
            escaped(&self.x_label),
            TOP + HEIGHT / 2.0,
            escaped(&self.y_label)
        );
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let dash = if number < COLOURS.len() { "" } else { " stroke-dasharray=\"5 4\"" };
            let places: Vec<String> =
                line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
            let _ = write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{}\"/>",
                places.join(" ")
            );
            for (a, b) in &line.points {
                let _ = write!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\" fill=\"{colour}\"/>",
                    x(*a),
                    y(*b)
                );
            }
            let (left, top) = (
                LEFT + (number % 2) as f64 * (WIDTH / 2.0),
                TOP + HEIGHT + 58.0 + LEGEND_ROW * (number / 2) as f64,
            );
            let _ = write!(
                out,
                "<path stroke=\"{colour}\" stroke-width=\"2.4\"{dash} d=\"M{left:.1} {:.1}h18\"/><text x=\"{:.1}\" y=\"{top:.1}\">{}</text>",
                top - 4.0,
                left + 24.0,
                escaped(&line.name)
            );
        }
        out
    }
}

/// The powers of ten around some values.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min).max(1e-3).log10().floor();
    let most = values.fold(1e-3, f64::max).log10().ceil();
    (least, if most > least { most } else { least + 1.0 })
}

fn tick(power: i32) -> String {
    match power {
        0 => "1".to_owned(),
        1 => "10".to_owned(),
        2 => "100".to_owned(),
        _ => format!("10<tspan dy=\"-4\" font-size=\"9\">{power}</tspan>"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
