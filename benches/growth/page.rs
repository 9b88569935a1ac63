//! The plots, and the section `Growth` of the page about speed.

use std::fmt::Write;
use std::path::Path;

use super::asked::Group;
use super::measure::Series;
use super::plot::{Line, Panel, Plot};

const CPU: &str = "CPU of the server, µs a request";
const HEADING: &str = "## Growth";

/// Writes all of it.
pub fn write(sizes: &[usize], stored: &[Series], counts: &[usize], plugins: &[Series]) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    std::fs::create_dir_all(docs.join("performance")).unwrap();
    let clips = Plot {
        title: "Clips: what a request costs as the library grows".to_owned(),
        panels: vec![
            panel(stored, Group::Clips, "One clip, pages, totals, changes", "clips stored"),
            panel(stored, Group::Filters, "The first page of a filtered list", "clips stored"),
            panel(stored, Group::Sorts, "The first page in another order", "clips stored"),
            panel(stored, Group::Search, "Full-text search", "clips stored"),
        ],
    };
    let events = Plot {
        title: "Events: what a request costs as the journal grows".to_owned(),
        panels: vec![
            panel(stored, Group::Journal, "Reading the journal", "events stored"),
            panel(stored, Group::Told, "Publishing and delivering", "events stored"),
        ],
    };
    let grown = Plot {
        title: "Plugins: what a request costs as there are more".to_owned(),
        panels: vec![
            panel(plugins, Group::Apart, "Plugins that have nothing to do with it", "plugins"),
            panel(plugins, Group::Asked, "Plugins that take part in it", "plugins"),
        ],
    };
    for (name, plot) in [("clips", clips), ("events", events), ("plugins", grown)] {
        std::fs::write(docs.join(format!("performance/growth-{name}.svg")), plot.svg()).unwrap();
    }
    let page = docs.join("performance.md");
    let before = std::fs::read_to_string(&page).unwrap_or_else(|_| "# Performance\n".to_owned());
    let section = section(sizes, stored, counts, plugins);
    std::fs::write(&page, replaced(&before, &section)).unwrap();
}

fn panel(all: &[Series], group: Group, title: &str, x_label: &str) -> Panel {
    let line = |it: &Series| Line {
        name: it.name.clone(),
        points: it.points.iter().map(|(size, cost)| (*size as f64, cost.cpu_us)).collect(),
    };
    Panel {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: CPU.to_owned(),
        lines: all.iter().filter(|it| it.group == group).map(line).collect(),
    }
}

/// The page with this section in the place of the former one, the rest as it was.
fn replaced(page: &str, section: &str) -> String {
    let Some(from) = page.find(HEADING) else { return format!("{}\n\n{section}", page.trim_end()) };
    let rest = page[from + HEADING.len()..].find("\n## ").map(|it| &page[from + HEADING.len() + it + 1..]);
    match rest {
        Some(rest) => format!("{}{section}\n{rest}", &page[..from]),
        None => format!("{}{section}", &page[..from]),
    }
}

fn section(sizes: &[usize], stored: &[Series], counts: &[usize], plugins: &[Series]) -> String {
    let mut out = format!(
        "{HEADING}\n\n\
         What a request costs as more is stored and as there are more plugins. `cargo bench --bench growth` fills a database \
         as the product would, asks the server over HTTP on one connection, and writes this section and its plots. The figures \
         are microseconds of the server's CPU for one request, all of its threads together (in brackets: until the answer, \
         median), and how much the last column is over the first.\n\n\
         ![Clips](performance/growth-clips.svg)\n\n"
    );
    let clips = [Group::Clips, Group::Filters, Group::Sorts, Group::Search];
    table(&mut out, "Clips stored", sizes, stored, &clips);
    out.push_str(TOTALS);
    out.push_str("![Events](performance/growth-events.svg)\n\n");
    table(&mut out, "Events stored", sizes, stored, &[Group::Journal, Group::Told]);
    out.push_str("![Plugins](performance/growth-plugins.svg)\n\n");
    table(&mut out, "Plugins", counts, plugins, &[Group::Apart, Group::Asked]);
    for series in plugins.iter().filter(|it| it.group == Group::Asked) {
        if let (Some((one, first)), Some((many, last))) = (series.points.first(), series.points.last()) {
            let each = (last.cpu_us - first.cpu_us) / (many - one).max(1) as f64;
            let _ = writeln!(out, "- {}: {each:.0} µs for each more of them.", series.name);
        }
    }
    out
}

const TOTALS: &str = "Where a list has a filter, `total` is counted up to 10 000 at most (`total_is_more` then says so): those \
    lines rise until there are so many and are flat from there on. Totals without a filter, and of one game, tag, status or \
    `processed` alone, are kept with every change and not counted. What had to be counted is remembered until any clip changes: \
    the lines that ask the same again and again show a list whose total is known, and the line \"each time another\" one whose \
    total is counted each time, over 10 000 clips at most. A page by its number is found from the nearer end, and at once \
    where no clip was ever deleted; else the rows before it are passed over. The `next` link leads far into a list at no cost.\n\n";

fn table(out: &mut String, first: &str, sizes: &[usize], all: &[Series], groups: &[Group]) {
    let heads: Vec<String> = sizes.iter().map(|it| grouped(*it)).collect();
    let _ = writeln!(out, "| {first} | {} | growth |", heads.join(" | "));
    let _ = writeln!(out, "|---|{}---:|", "---:|".repeat(sizes.len()));
    for series in all.iter().filter(|it| groups.contains(&it.group)) {
        let cells: Vec<String> =
            series.points.iter().map(|(_, it)| format!("{:.0} ({:.0})", it.cpu_us, it.latency_us)).collect();
        let _ = writeln!(
            out,
            "| {}: {} | {} | ×{:.1} |",
            series.group.name(),
            series.name,
            cells.join(" | "),
            series.ratio()
        );
    }
    out.push('\n');
}

/// 1000000 as 1 000 000.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let parts: Vec<String> =
        digits.as_bytes().rchunks(3).rev().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    parts.join(" ")
}
