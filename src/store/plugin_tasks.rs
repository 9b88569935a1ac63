//! What plugins did for recordings.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::plugin_tasks as tasks;
use super::statement::statement;
use super::tx::Tx;

/// What is kept for each recording.
const KEPT: i64 = 200;

/// One thing a plugin did for a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginTask {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Who did it.
    pub plugin: String,
    /// For which recording.
    pub recording_id: String,
    /// What, such as `transcription`.
    pub task: String,
    /// `running`, `completed` or `failed`.
    pub status: String,
    /// What it worked on.
    pub inputs: Value,
    /// What came of it.
    pub outputs: Value,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began (UTC).
    pub started_at: Timestamp,
    /// When it was over (UTC).
    pub finished_at: Option<Timestamp>,
}

type Row = (i64, String, String, String, String, String, String, Option<String>, i64, Option<i64>);

fn task_of(row: Row) -> Result<PluginTask> {
    let (id, plugin, recording_id, task, status, inputs, outputs, error, started_at, finished_at) = row;
    Ok(PluginTask {
        id,
        plugin,
        recording_id,
        task,
        status,
        inputs: from_text(&inputs)?,
        outputs: from_text(&outputs)?,
        error,
        started_at: Timestamp(started_at),
        finished_at: finished_at.map(Timestamp),
    })
}

impl Tx {
    /// Notes what a plugin did, and forgets the oldest of its recording.
    ///
    /// # Errors
    /// The database's; internal when the status is none of the three.
    pub fn note_task(&mut self, task: &PluginTask) -> Result<()> {
        statement(
            "INSERT INTO plugin_tasks (plugin, recording_id, task, status, inputs, outputs, error, started_at, \
             finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind(&*task.plugin)
        .bind(&*task.recording_id)
        .bind(&*task.task)
        .bind(&*task.status)
        .bind(to_text(&task.inputs)?)
        .bind(to_text(&task.outputs)?)
        .bind(task.error.as_deref())
        .bind(task.started_at.0)
        .bind(task.finished_at.map(|it| it.0))
        .write(self)?;
        let oldest =
            statement("SELECT id FROM plugin_tasks WHERE recording_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?");
        match oldest.bind(&*task.recording_id).bind(KEPT).number(self)? {
            Some(id) => {
                let own = tasks::table.filter(tasks::recording_id.eq(&task.recording_id));
                diesel::delete(own.filter(tasks::id.le(id))).execute(&mut self.conn).or_fail().map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Reader {
    /// The last `limit` tasks for a recording, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn tasks_of(&mut self, recording_id: &str, limit: i64) -> Result<Vec<PluginTask>> {
        let rows: Vec<Row> = tasks::table
            .filter(tasks::recording_id.eq(recording_id))
            .order(tasks::id.desc())
            .limit(limit)
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(task_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    #[test]
    fn the_last_tasks_of_a_recording_come_newest_first() {
        let (_folder, store) = store();
        let task = |recording: &str, at: i64| PluginTask {
            id: 0,
            plugin: "scribe".into(),
            recording_id: recording.into(),
            task: "recording.ended".into(),
            status: "completed".into(),
            inputs: json!({"attempt": 1}),
            outputs: json!(null),
            error: None,
            started_at: Timestamp(at),
            finished_at: Some(Timestamp(at + 1)),
        };
        store
            .write_blocking(move |tx| {
                tx.note_task(&task("other", 0))?;
                (0..250).try_for_each(|at| tx.note_task(&task("r", at)))
            })
            .unwrap();
        let kept = store.read(|it| it.tasks_of("r", 1000)).unwrap();
        assert_eq!(
            (kept.len(), kept[0].started_at, kept[199].started_at),
            (200, Timestamp(249), Timestamp(50))
        );
        assert_eq!(store.read(|it| it.tasks_of("other", 10)).unwrap().len(), 1);
    }
}
