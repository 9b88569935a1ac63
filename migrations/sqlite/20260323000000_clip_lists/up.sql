-- Lists of clips cost the same however many there are: an index for each order, the tags of clips by tag, and totals
-- that are kept. Each index ends with the id.
CREATE INDEX clips_by_title ON clips (title);
CREATE INDEX clips_by_duration ON clips (duration);
CREATE INDEX clips_by_recorded ON clips (recorded_at);
-- In months of 30 days: what was recorded (else created) in one, by id.
CREATE INDEX clips_by_month ON clips (coalesce(recorded_at, created_at) / 2592000000000);

-- Which clips have a tag. Who inserts a clip inserts its tags and its words: a trigger would make each insert a statement
-- that copies every page it touches before it does, in case that it ends half-way.
DROP TRIGGER clips_fts_insert;
CREATE TABLE clip_tags (
    tag TEXT NOT NULL,
    clip_id BIGINT NOT NULL,
    PRIMARY KEY (tag, clip_id)
) WITHOUT ROWID;
INSERT INTO clip_tags (tag, clip_id)
    SELECT DISTINCT it.value, clips.id FROM clips, json_each(clips.tags) AS it ORDER BY 1, 2;
CREATE TRIGGER clip_tags_delete AFTER DELETE ON clips WHEN old.tags <> '[]' BEGIN
    DELETE FROM clip_tags WHERE clip_id = old.id AND tag IN (SELECT it.value FROM json_each(old.tags) AS it);
END;
CREATE TRIGGER clip_tags_update AFTER UPDATE OF tags ON clips WHEN old.tags IS NOT new.tags BEGIN
    DELETE FROM clip_tags WHERE clip_id = old.id AND tag IN (SELECT it.value FROM json_each(old.tags) AS it);
    INSERT INTO clip_tags (tag, clip_id) SELECT DISTINCT it.value, new.id FROM json_each(new.tags) AS it;
END;

-- How many clips have a tag, and how many are in each state of processing.
INSERT INTO counters (name, value) SELECT 'clips.tag:' || tag, count(*) FROM clip_tags GROUP BY tag;
INSERT INTO counters (name, value)
    SELECT 'clips.status:' || processing_status, count(*) FROM clips GROUP BY processing_status;

-- The words of a clip, as before, but what words begin with is looked up for up to three letters.
DROP TABLE clips_fts;
CREATE VIRTUAL TABLE clips_fts USING fts5 (
    title, description, tags,
    content = 'clips', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
);
INSERT INTO clips_fts (clips_fts) VALUES ('rebuild');
-- Which words there are.
CREATE VIRTUAL TABLE clips_words USING fts5vocab ('clips_fts', 'instance');
