-- Searches ask which clips have a word, never where in them or how often: the index keeps no more than that, a quarter of
-- what it was. Marks belong to the letters they follow: in many scripts a word without them falls to pieces. But no marks are those
-- that make a picture of a sign (U+FE0E, U+FE0F, U+20E3; nothing is seen of them below): a word may follow it.
DROP TABLE clips_words;
DROP TABLE clips_fts;
CREATE VIRTUAL TABLE clips_fts USING fts5 (
    title, description, tags,
    content = 'clips', content_rowid = 'id', detail = 'none', columnsize = 0, prefix = '1 2 3',
    tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co' separators '︎️⃣'"
);
INSERT INTO clips_fts (clips_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE clips_words USING fts5vocab ('clips_fts', 'instance');
-- That took those that waited, too.
UPDATE counters SET value = max(value, (SELECT coalesce(max(id), 0) FROM clips)) WHERE name = 'clips.words_through';
