DROP TABLE clips_words;
DROP TABLE clips_fts;
CREATE VIRTUAL TABLE clips_fts USING fts5 (
    title, description, tags,
    content = 'clips', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
);
INSERT INTO clips_fts (clips_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE clips_words USING fts5vocab ('clips_fts', 'instance');
UPDATE counters SET value = max(value, (SELECT coalesce(max(id), 0) FROM clips)) WHERE name = 'clips.words_through';
