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
use super::tx::Tx;

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
    /// Notes a task and answers its number.
    ///
    /// # Errors
    /// The database's; internal when the status is none of the three.
    pub fn insert_task(&mut self, task: &PluginTask) -> Result<i64> {
        diesel::insert_into(tasks::table)
            .values((
                tasks::plugin.eq(&task.plugin),
                tasks::recording_id.eq(&task.recording_id),
                tasks::task.eq(&task.task),
                tasks::status.eq(&task.status),
                tasks::inputs.eq(to_text(&task.inputs)?),
                tasks::outputs.eq(to_text(&task.outputs)?),
                tasks::error.eq(&task.error),
                tasks::started_at.eq(task.started_at.0),
                tasks::finished_at.eq(task.finished_at.map(|it| it.0)),
            ))
            .returning(tasks::id)
            .get_result(&mut self.conn)
            .or_fail()
    }

    /// Notes how a task ended; false when there is no such task.
    ///
    /// # Errors
    /// The database's.
    pub fn finish_task(
        &mut self,
        id: i64,
        outputs: &Value,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<bool> {
        let change = (
            tasks::status.eq(if error.is_some() { "failed" } else { "completed" }),
            tasks::outputs.eq(to_text(outputs)?),
            tasks::error.eq(error),
            tasks::finished_at.eq(now.0),
        );
        Ok(diesel::update(tasks::table.find(id)).set(change).execute(&mut self.conn).or_fail()? == 1)
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
    fn the_tasks_of_a_recording_come_newest_first_with_their_end() {
        let (_folder, store) = store();
        let task = |recording: &str| PluginTask {
            id: 0,
            plugin: "notes".into(),
            recording_id: recording.into(),
            task: "transcription".into(),
            status: "running".into(),
            inputs: json!({"track": "system"}),
            outputs: json!(null),
            error: None,
            started_at: Timestamp(1),
            finished_at: None,
        };
        let (first, second) = store
            .write_blocking(move |tx| {
                let first = tx.insert_task(&task("r"))?;
                tx.insert_task(&task("other"))?;
                assert!(tx.finish_task(first, &json!([1]), Some("no model"), Timestamp(2))?);
                Ok((first, tx.insert_task(&task("r"))?))
            })
            .unwrap();
        let found = store.read(|reader| reader.tasks_of("r", 50)).unwrap();
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [second, first]);
        assert_eq!((found[1].status.as_str(), found[1].error.as_deref()), ("failed", Some("no model")));
        assert!(
            store
                .write_blocking(|tx| tx.finish_task(77, &json!(null), None, Timestamp(1)))
                .is_ok_and(|it| !it)
        );
    }
}
