DROP TABLE clips_words;
DROP TABLE clips_fts;
CREATE VIRTUAL TABLE clips_fts USING fts5 (
    title, description, tags,
    content = 'clips', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO clips_fts (clips_fts) VALUES ('rebuild');
DELETE FROM counters WHERE name LIKE 'clips.tag:%' OR name LIKE 'clips.status:%';
DROP TRIGGER clip_tags_update;
DROP TRIGGER clip_tags_delete;
CREATE TRIGGER clips_fts_insert AFTER INSERT ON clips BEGIN
    INSERT INTO clips_fts (rowid, title, description, tags)
    VALUES (new.id, new.title, new.description, new.tags);
END;
DROP TABLE clip_tags;
DROP INDEX clips_by_month;
DROP INDEX clips_by_recorded;
DROP INDEX clips_by_duration;
DROP INDEX clips_by_title;
