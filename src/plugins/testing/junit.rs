//! A report as JUnit's XML, which the servers that build things read.

use std::fmt::Write;

use super::report::{TestFailure, TestReport};

/// The report: a suite a file, a case a case.
pub fn junit(report: &TestReport) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let sum = &report.summary;
    let _ = writeln!(
        xml,
        "<testsuites name=\"panotti\" tests=\"{}\" failures=\"{}\" time=\"{:.3}\">",
        sum.cases,
        sum.failed,
        sum.took_ms / 1e3
    );
    for plugin in &report.plugins {
        for file in &plugin.files {
            let failed = file.cases.iter().filter(|it| !it.ok).count();
            let took: f64 = file.cases.iter().map(|it| it.took_ms).sum();
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{}/{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{}\" time=\"{:.3}\">",
                escaped(&plugin.plugin),
                escaped(&file.file),
                file.cases.len() + usize::from(file.failure.is_some()),
                usize::from(file.failure.is_some()),
                took / 1e3
            );
            let _ = writeln!(
                xml,
                "    <properties><property name=\"seed\" value=\"{}\"/></properties>",
                report.seed
            );
            if let Some(failure) = &file.failure {
                case(&mut xml, &plugin.plugin, &file.file, ("loads", None), 0.0, Some(("error", failure)));
            }
            for it in &file.cases {
                let failure = it.failure.as_ref().map(|failure| ("failure", failure));
                case(&mut xml, &plugin.plugin, &file.file, (&it.name, it.line), it.took_ms, failure);
            }
            xml.push_str("  </testsuite>\n");
        }
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(
    xml: &mut String,
    plugin: &str,
    file: &str,
    (name, line): (&str, Option<u32>),
    took_ms: f64,
    failure: Option<(&str, &TestFailure)>,
) {
    let line = line.map(|it| format!(" line=\"{it}\"")).unwrap_or_default();
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\"{line} time=\"{:.3}\"",
        escaped(plugin),
        escaped(name),
        escaped(file),
        took_ms / 1e3
    );
    let Some((kind, failure)) = failure else {
        xml.push_str("/>\n");
        return;
    };
    let mut text = String::new();
    if let Some(file) = &failure.file {
        let _ = writeln!(text, "{file}:{}", failure.line.unwrap_or_default());
    }
    for part in [&failure.detail, &failure.excerpt, &failure.hint, &failure.traceback].into_iter().flatten() {
        text.push_str(part);
        text.push('\n');
    }
    let _ = writeln!(
        xml,
        ">\n      <{kind} message=\"{}\">{}</{kind}>\n    </testcase>",
        escaped(&failure.message),
        escaped(text.trim_end())
    );
}

/// Text as XML has it; what no XML may hold is shown as its code.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            it if it.is_control() || matches!(it, '\u{fffe}' | '\u{ffff}') => out.extend(it.escape_unicode()),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::{PluginTests, TestCase, TestFile};
    use super::*;

    #[test]
    fn whatever_a_case_is_called_the_xml_is_well_formed() {
        let failure = TestFailure {
            message: "a < b && \"c\" \u{1b}[2J\u{0}".to_owned(),
            detail: Some("]]> <x>".to_owned()),
            file: Some("tests/a.lua".to_owned()),
            line: Some(3),
            ..TestFailure::default()
        };
        let bad =
            TestCase { name: "<&\">".to_owned(), failure: Some(failure.clone()), ..TestCase::default() };
        let good = TestCase { name: "fine".to_owned(), line: Some(7), ok: true, ..TestCase::default() };
        let file = TestFile { file: "tests/a.lua".to_owned(), cases: vec![bad, good], failure: None };
        let broken =
            TestFile { file: "tests/b.lua".to_owned(), failure: Some(failure), ..TestFile::default() };
        let plugins = vec![PluginTests { plugin: "p".to_owned(), files: vec![file, broken] }];
        let mut report = TestReport { seed: 4, plugins, ..TestReport::default() };
        report.sum_up(12.0, false);
        assert_eq!((report.summary.cases, report.summary.ok, report.summary.failed), (2, 1, 2));
        let xml = junit(&report);
        for part in [
            "<testsuites name=\"panotti\" tests=\"2\" failures=\"2\" time=\"0.012\">",
            "name=\"&lt;&amp;&quot;&gt;\" file=\"tests/a.lua\"",
            "message=\"a &lt; b &amp;&amp; &quot;c&quot; \\u{1b}[2J\\u{0}\"",
            "tests/a.lua:3&#10;]]&gt; &lt;x&gt;",
            "<testcase classname=\"p\" name=\"fine\" file=\"tests/a.lua\" line=\"7\" time=\"0.000\"/>",
            "<error message=",
        ] {
            assert!(xml.contains(part), "{part}\n{xml}");
        }
        let open: Vec<&str> = xml.matches("<testsuite ").collect();
        assert_eq!((open.len(), xml.matches("</testsuite>").count()), (2, 2));
    }
}
