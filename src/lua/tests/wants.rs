//! A function that is called often is given the fields that its text says it looks at.

use std::sync::Arc;

use serde_json::json;

use crate::hooks::{Field, Fields, Given};
use crate::lua::{FieldRead, FieldsRead};

use super::*;

/// Says of every function that it looks at a field that is named in a comment of its line.
fn told(text: &str) -> Vec<FieldsRead> {
    let lines =
        text.lines().zip(1..).filter_map(|(line, number)| Some((line.split_once("-- reads ")?.1, number)));
    let fields = |all: &str| all.split(' ').map(read).collect();
    lines.map(|(all, line)| FieldsRead { line, fields: fields(all) }).collect()
}

/// `name` alone is all of it, `name.inner` one field of it.
fn read(path: &str) -> FieldRead {
    match path.split_once('.') {
        None => FieldRead { name: path.to_owned(), inside: None },
        Some((name, inner)) => FieldRead { name: name.to_owned(), inside: Some(vec![read(inner)]) },
    }
}

struct Thing;

impl Fields for Thing {
    fn fields(&self) -> Vec<(&str, Field<'_>)> {
        vec![("title", Field::Text("t")), ("codec", Field::Text("c")), ("size", Field::Whole(1))]
    }
}

/// Answers with the names of the fields it is given.
const SPY: &str = "panotti.on.on_clip_captured(function(clip) -- reads title size
        local names = {}
        for name in pairs(clip) do names[#names + 1] = name end
        table.sort(names)
        return { title = table.concat(names, ' ') }
    end)";

fn seen(bench: &Bench, plugin: &Generation, given: Given) -> String {
    let asked = HookCall { payload: given, ..call(plugin, Hook::OnClipCaptured, json!(null)) };
    match bench.runtime.block_on(plugin.call(asked)) {
        Ok(Reply { answer: Answer::Patch(patch), .. }) => patch["title"].as_str().unwrap().to_owned(),
        other => panic!("no patch: {other:?}"),
    }
}

#[test]
fn what_nobody_looks_at_is_not_made_once_a_function_is_called_often() {
    let givens: [fn() -> Given; 2] =
        [|| Given::fields(Arc::new(Thing)), || json!({"title": "t", "codec": "c", "size": 1}).into()];
    for given in givens {
        let bench = Bench::with(|it| it.reader = Some(told));
        let plugin = bench.load(SPY);
        assert_eq!(seen(&bench, &plugin, given()), "codec size title", "nothing is read for one call");
        until("only what is wanted", || seen(&bench, &plugin, given()) == "size title");
        let other = bench.load(&SPY.replace("-- reads", "-- looks at"));
        for _ in 0..300 {
            assert_eq!(seen(&bench, &other, given()), "codec size title", "of it the text says nothing");
        }
    }
}

#[test]
fn without_a_reader_all_is_made() {
    let bench = Bench::new();
    let plugin = bench.load(SPY);
    for _ in 0..300 {
        assert_eq!(seen(&bench, &plugin, Given::fields(Arc::new(Thing))), "codec size title");
    }
}
