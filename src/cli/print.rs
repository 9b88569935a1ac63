//! What commands print: values that are safe to show, in columns.

use std::io::Write;

use serde_json::Value;

use super::Failure;
use crate::app::logging::escaped;

/// A value as a cell.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escaped(text),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The lines of a script or a diff, safe to show: a tab is code; anything else that a terminal would obey is not.
pub(super) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|it| it.split('\t').map(escaped).collect::<Vec<_>>().join("\t"))
}

/// Rows below their titles, aligned.
pub(super) fn columns<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut all = vec![titles.map(str::to_owned)];
    all.extend(rows);
    let widths =
        std::array::from_fn::<_, N, _>(|n| all.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in all {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The same, or `none` as a line when there are no rows.
pub(super) fn columns_or<const N: usize>(
    none: &str,
    titles: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut rows = rows.peekable();
    if rows.peek().is_none() { format!("{none}\n") } else { columns(titles, rows) }
}

/// So many of something.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Writes a result.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|fault| Failure::Failed(format!("stdout: {fault}")))
}
