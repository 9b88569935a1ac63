//! The words of new clips on their way into the index: all of a transaction together, in the order of ids. The index writes
//! out what it has collected whenever an id comes before the last one, and clips reach the writer in any order.

use diesel::RunQueryDsl;

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::statement::prepared;

/// Words that are not in the index yet.
#[derive(Debug, Default)]
pub(super) struct NewWords(Vec<Words>);

/// What is looked for in one clip.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) tags: String,
}

impl NewWords {
    pub(super) fn add(&mut self, words: Words) {
        self.0.push(words);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts them into the index.
    pub(super) fn write(&mut self, reader: &mut Reader) -> Result<()> {
        self.0.sort_unstable_by_key(|it| it.id);
        for words in self.0.drain(..) {
            prepared!("INSERT INTO clips_fts (rowid, title, description, tags) VALUES (?, ?, ?, ?)")
                .bind(words.id)
                .bind(&*words.title)
                .bind(words.description.as_deref())
                .bind(&*words.tags)
                .execute(&mut reader.conn)
                .or_fail()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;

    use super::super::clip_query::{ClipFilter, ClipSort};
    use super::super::statement::statement;
    use super::super::testing::{clip, store};
    use crate::model::page::Window;

    /// The titles that a word finds.
    fn found(store: &super::super::Store, word: &str) -> Vec<String> {
        let filter = ClipFilter { q: Some(word.into()), ..ClipFilter::default() };
        let page =
            store.read(|r| r.list_clips(&filter, ClipSort::default(), Window { offset: 0, limit: 10 }));
        page.unwrap().items.into_iter().map(|it| it.title).collect()
    }

    #[tokio::test]
    async fn clips_that_come_out_of_order_and_change_in_the_same_transaction_are_found_by_what_they_say_in_the_end()
     {
        let (_folder, store) = store();
        let job = store.write_again(|tx| {
            for id in [5, 2, 4, 1, 3] {
                tx.insert_clip(&clip(id, &format!("first {id}")))?;
            }
            tx.update_clip(&clip(2, "second 2"))?;
            tx.delete_clip(4)?;
            tx.insert_clip(&clip(6, "first 6"))
        });
        job.await.unwrap();
        assert_eq!(found(&store, "first"), ["first 6", "first 5", "first 3", "first 1"]);
        assert_eq!(found(&store, "second"), ["second 2"]);
        let check = statement::<()>("INSERT INTO clips_fts (clips_fts, rank) VALUES ('integrity-check', 1)");
        store
            .write_blocking(move |tx| Ok(check.clone().execute(&mut tx.conn).is_ok()))
            .map(|it| assert!(it))
            .unwrap();
    }

    #[tokio::test]
    async fn words_of_a_transaction_that_failed_are_not_found() {
        let (_folder, store) = store();
        let job = store.write_again(|tx| {
            tx.insert_clip(&clip(1, "lost"))?;
            tx.insert_clip(&clip(1, "twice"))
        });
        assert!(job.await.is_err());
        store.write_again(|tx| tx.insert_clip(&clip(2, "kept"))).await.unwrap();
        assert_eq!((found(&store, "lost").len(), found(&store, "kept")), (0, vec!["kept".to_owned()]));
    }
}
