//! Clips, their ids and their totals; lists are in `clip_query.rs`.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use diesel::prelude::*;
use parking_lot::Mutex;

use crate::error::{Code, Error, Result};
use crate::model::clip::{Clip, ClipStats};
use crate::model::time::Timestamp;

use super::Store;
use super::clip_row::ClipRow;
use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::clips;
use super::statement::{Bind, built_once, statement};
use super::tx::Tx;

/// Hands out ids before their rows exist.
pub(super) struct ClipIds(Mutex<(i64, Timestamp)>);

impl ClipIds {
    /// Goes on after the last id that ever had a row, also when that row is deleted.
    pub(super) fn after_last(reader: &mut Reader) -> Result<Self> {
        let newest: Option<(i64, i64)> = clips::table
            .order(clips::id.desc())
            .select((clips::id, clips::created_at))
            .first(&mut reader.conn)
            .optional()
            .or_fail()?;
        let (id, created_at) = newest.unwrap_or_default();
        Ok(ClipIds(Mutex::new((id.max(reader.counter(counters::CLIPS_LAST)?), Timestamp(created_at)))))
    }
}

impl Store {
    /// The id of the next clip, and the time of its creation: `now`, but never before that of an earlier id,
    /// so that the order of ids is the order of creation. An id that is not used is a gap.
    pub fn reserve_clip(&self, now: Timestamp) -> (i64, Timestamp) {
        let mut last = self.inner.clip_ids.0.lock();
        *last = (last.0 + 1, last.1.max(now));
        *last
    }

    /// The id of the next clip alone; see [`Store::reserve_clip`].
    pub fn reserve_clip_id(&self) -> i64 {
        self.reserve_clip(Timestamp::default()).0
    }
}

/// What of a new clip is written out as text, off the writer's thread.
pub struct NewClip {
    text: Arc<str>,
    tags: Range<usize>,
    metadata: Range<usize>,
    provenance: Range<usize>,
}

impl NewClip {
    /// Writes it out.
    ///
    /// # Errors
    /// It cannot be told as JSON.
    pub fn of(clip: &Clip) -> Result<Self> {
        let (tags, metadata) = (to_text(&clip.tags)?, to_text(&clip.metadata)?);
        let ends = (tags.len(), tags.len() + metadata.len());
        let text: Arc<str> = [tags, metadata, to_text(&clip.provenance)?].concat().into();
        let provenance = ends.1..text.len();
        Ok(NewClip { text, tags: 0..ends.0, metadata: ends.0..ends.1, provenance })
    }

    /// Pieces of a text in which they stand written out.
    pub fn of_text(
        text: Arc<str>,
        tags: Range<usize>,
        metadata: Range<usize>,
        provenance: Range<usize>,
    ) -> Self {
        NewClip { text, tags, metadata, provenance }
    }
}

/// What a clip adds to the totals.
struct Share<'a> {
    game: Option<Cow<'a, str>>,
    processed: bool,
    duration: Option<f64>,
    size: Option<i64>,
    status: Cow<'a, str>,
    /// Each once.
    tags: Vec<Cow<'a, str>>,
}

impl Tx {
    /// Stores a new clip under its reserved id, with its tags; its words follow.
    ///
    /// # Errors
    /// `Conflict` when the id is taken; internal when the recording does not exist.
    pub fn insert_clip(&mut self, clip: &Clip) -> Result<()> {
        self.insert_new_clip(clip, &NewClip::of(clip)?)
    }

    /// As [`Tx::insert_clip`], with what was written out before.
    ///
    /// # Errors
    /// `Conflict` when the id is taken; internal when the recording does not exist.
    pub fn insert_new_clip(&mut self, clip: &Clip, new: &NewClip) -> Result<()> {
        statement(
            "INSERT INTO clips (id, title, file_path, recording_id, description, game_name, game_id, tags, metadata, \
             file_size, duration, resolution, fps, codec, recorded_at, processed, processing_status, provenance, \
             created_at, updated_at, owns_file, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind(clip.id)
        .bind(&*clip.title)
        .bind(&*clip.file_path)
        .bind(clip.recording_id.as_deref())
        .bind(clip.description.as_deref())
        .bind(clip.game_name.as_deref())
        .bind(clip.game_id.as_deref())
        .bind(&new.text[new.tags.clone()])
        .bind(&new.text[new.metadata.clone()])
        .bind(clip.file_size)
        .bind(clip.duration)
        .bind(clip.resolution.as_deref())
        .bind(clip.fps)
        .bind(clip.codec.as_deref())
        .bind(clip.recorded_at.map(|it| it.0))
        .bind(clip.processed)
        .bind(clip.processing_status.as_str())
        .bind(&new.text[new.provenance.clone()])
        .bind(clip.created_at.0)
        .bind(clip.updated_at.0)
        .bind(clip.owns_file)
        .bind(clip.version)
        .write(self)?;
        self.new_words(clip.id)?;
        let share = share_of(clip);
        for tags in share.tags.chunks(4) {
            self.insert_tags(clip.id, tags)?;
        }
        self.count_clip(&share, 1);
        Ok(())
    }

    /// Stores up to four tags, which most clips do not have more of, in one statement. It fails with what it has stored until
    /// then, and the change with it, and where there is no room the whole group: a statement of several rows that undoes itself
    /// alone notes down all that it touches.
    fn insert_tags(&mut self, id: i64, tags: &[Cow<'_, str>]) -> Result<()> {
        macro_rules! insert {
            ($values:literal) => {{
                let binds = tags.iter().flat_map(|it| [Bind::from(&**it), Bind::from(id)]);
                statement(concat!("INSERT OR FAIL INTO clip_tags (tag, clip_id) VALUES ", $values))
                    .binds(binds)
                    .write(self)
            }};
        }
        let stored = match tags.len() {
            0 => return Ok(()),
            1 => insert!("(?, ?)"),
            2 => insert!("(?, ?), (?, ?)"),
            3 => insert!("(?, ?), (?, ?), (?, ?)"),
            _ => insert!("(?, ?), (?, ?), (?, ?), (?, ?)"),
        };
        stored.map(drop)
    }

    /// Stores all fields of a clip over the old ones and answers the row's new version.
    ///
    /// # Errors
    /// `ClipNotFound`.
    pub fn update_clip(&mut self, clip: &Clip) -> Result<i64> {
        self.settle_words()?;
        let row = clips::table.find(clip.id);
        let (old, version) = self
            .clip_share(clip.id)?
            .ok_or_else(|| Error::new(Code::ClipNotFound, format!("There is no clip {}.", clip.id)))?;
        diesel::update(row)
            .set(ClipRow::of(clip)?.with_version(version + 1))
            .execute(&mut self.conn)
            .or_fail()?;
        self.count_clip(&old, -1);
        self.count_clip(&share_of(clip), 1);
        Ok(version + 1)
    }

    /// Removes a clip's row; false when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_clip(&mut self, id: i64) -> Result<bool> {
        self.settle_words()?;
        let Some((share, _)) = self.clip_share(id)? else { return Ok(false) };
        diesel::delete(clips::table.find(id)).execute(&mut self.conn).or_fail()?;
        self.count_clip(&share, -1);
        Ok(true)
    }

    fn clip_share(&mut self, id: i64) -> Result<Option<(Share<'static>, i64)>> {
        let found = clips::table
            .find(id)
            .select((
                clips::game_name,
                clips::processed,
                clips::duration,
                clips::file_size,
                clips::processing_status,
                clips::tags,
                clips::version,
            ))
            .first::<(Option<String>, _, _, _, String, String, i64)>(&mut self.conn)
            .optional()
            .or_fail()?;
        let Some((game, processed, duration, size, status, tags, version)) = found else { return Ok(None) };
        let (game, status) = (game.map(Cow::from), Cow::from(status));
        let tags = distinct(from_text::<Vec<String>>(&tags)?.into_iter().map(Cow::from).collect());
        Ok(Some((Share { game, processed, duration, size, status, tags }, version)))
    }

    fn count_clip(&mut self, share: &Share<'_>, sign: i64) {
        // Bounded, so that absurd values cannot make the sums overflow.
        const MAX: i64 = 1 << 50;
        let duration_us = (share.duration.unwrap_or_default() * 1e6).round() as i64;
        self.changes_clips();
        self.count(counters::CLIPS, sign);
        self.count(counters::CLIPS_PROCESSED, sign * i64::from(share.processed));
        self.count(counters::CLIPS_DURATION_US, sign * duration_us.clamp(0, MAX));
        self.count(counters::CLIPS_SIZE, sign * share.size.unwrap_or_default().clamp(0, MAX));
        if let Some(game) = &share.game {
            self.count_of(counters::GAME, game, sign);
        }
        self.count_of(counters::STATUS, &share.status, sign);
        for tag in &share.tags {
            self.count_of(counters::TAG, tag, sign);
        }
    }
}

fn share_of(clip: &Clip) -> Share<'_> {
    Share {
        game: clip.game_name.as_deref().map(Cow::from),
        processed: clip.processed,
        duration: clip.duration,
        size: clip.file_size,
        status: clip.processing_status.as_str().into(),
        tags: distinct(clip.tags.iter().map(|it| Cow::from(it.as_str())).collect()),
    }
}

fn distinct(mut tags: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    tags.sort_unstable();
    tags.dedup();
    tags
}

impl Reader {
    /// A clip.
    ///
    /// # Errors
    /// The database's.
    pub fn clip(&mut self, id: i64) -> Result<Option<Clip>> {
        let by_id = built_once!(clips::table.find(0).select(ClipRow::as_select()));
        let row: Option<ClipRow> = by_id.bind(id).get_result(&mut self.conn).optional().or_fail()?;
        row.map(ClipRow::into_clip).transpose()
    }

    /// Totals over all clips, as of the last commit; kept, not counted.
    ///
    /// # Errors
    /// The database's.
    pub fn clip_stats(&mut self) -> Result<ClipStats> {
        let total = self.counter(counters::CLIPS)?;
        let processed = self.counter(counters::CLIPS_PROCESSED)?;
        let games: Vec<_> = self.counters_under(counters::GAME)?.into_iter().map(|(name, _)| name).collect();
        Ok(ClipStats {
            total_clips: total,
            processed_clips: processed,
            unprocessed_clips: total - processed,
            total_games: games.len() as i64,
            games,
            total_duration: self.counter(counters::CLIPS_DURATION_US)? as f64 / 1e6,
            total_size: self.counter(counters::CLIPS_SIZE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{clip, options, recording, revert_until, store};
    use super::*;

    #[test]
    fn a_clip_comes_back_as_it_was_stored_with_its_metadata_in_order() {
        let (_folder, store) = store();
        let mut wanted = clip(store.reserve_clip_id(), "Ace");
        wanted.tags = vec!["tag \"one\"".into(), "ä".into()];
        wanted.recorded_at = Some(Timestamp(5));
        wanted.fps = Some(59.94);
        let given = wanted.clone();
        store.write_blocking(move |tx| tx.insert_clip(&given)).unwrap();
        let found = store.read(|reader| reader.clip(wanted.id)).unwrap().unwrap();
        assert_eq!(found, wanted);
        assert_eq!(found.metadata.keys().collect::<Vec<_>>(), ["z", "a"]);
    }

    #[test]
    fn an_id_is_never_used_twice_even_when_its_clip_is_gone_and_the_server_starts_anew() {
        let (folder, store) = store();
        let ids: Vec<_> = (0..3).map(|_| store.reserve_clip_id()).collect();
        assert_eq!(ids, [1, 2, 3]);
        store.write_blocking(|tx| (1..=3).try_for_each(|id| tx.insert_clip(&clip(id, "x")))).unwrap();
        assert!(store.write_blocking(|tx| tx.delete_clip(3)).unwrap());
        drop(store);
        let store = Store::open(&options(&folder)).unwrap();
        assert_eq!(store.reserve_clip_id(), 4);
        drop(store);
        // As a server of before numbered rows: with AUTOINCREMENT.
        let mut before = Reader::open_writer(&options(&folder).path).unwrap();
        revert_until(&mut before, "20260325000000");
        drop(before);
        let store = Store::open(&options(&folder)).unwrap();
        assert_eq!(store.reserve_clip_id(), 4);
    }

    #[test]
    fn ids_and_times_of_creation_have_one_order_even_when_the_clock_goes_back() {
        let (_folder, store) = store();
        let reserved: Vec<_> = [50, 40, 60].map(|us| store.reserve_clip(Timestamp(us))).into();
        assert_eq!(reserved, [(1, Timestamp(50)), (2, Timestamp(50)), (3, Timestamp(60))]);
    }

    #[test]
    fn a_clip_outlives_its_recording() {
        let (_folder, store) = store();
        let stored = store.write_blocking(|tx| {
            tx.insert_recording(&recording("r", 1), None)?;
            let mut clip = clip(1, "x");
            clip.recording_id = Some("r".into());
            tx.insert_clip(&clip)?;
            tx.delete_recording("r")
        });
        assert!(stored.unwrap());
        assert_eq!(store.read(|reader| reader.clip(1)).unwrap().unwrap().recording_id, None);
    }

    #[test]
    fn an_update_counts_the_version_and_an_unknown_clip_is_told() {
        let (_folder, store) = store();
        store.write_blocking(|tx| tx.insert_clip(&clip(1, "x"))).unwrap();
        assert_eq!(store.write_blocking(|tx| tx.update_clip(&clip(1, "y"))).unwrap(), 2);
        assert_eq!(store.read(|reader| reader.clip(1)).unwrap().unwrap().version, 2);
        let error = store.write_blocking(|tx| tx.update_clip(&clip(9, "y"))).unwrap_err();
        assert_eq!(error.code, Code::ClipNotFound);
    }
}
