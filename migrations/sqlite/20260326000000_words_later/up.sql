-- The words of new clips go into their index many at a time. Those of ids up to this one are there, of all others none.
INSERT INTO counters (name, value) SELECT 'clips.words_through', coalesce(max(id), 0) FROM clips;

DROP TRIGGER clips_fts_delete;
DROP TRIGGER clips_fts_update;
CREATE TRIGGER clips_fts_delete AFTER DELETE ON clips
WHEN old.id <= (SELECT value FROM counters WHERE name = 'clips.words_through') BEGIN
    INSERT INTO clips_fts (clips_fts, rowid, title, description, tags)
    VALUES ('delete', old.id, old.title, old.description, old.tags);
END;
CREATE TRIGGER clips_fts_update AFTER UPDATE OF title, description, tags ON clips
WHEN (old.title IS NOT new.title OR old.description IS NOT new.description OR old.tags IS NOT new.tags)
    AND old.id <= (SELECT value FROM counters WHERE name = 'clips.words_through') BEGIN
    INSERT INTO clips_fts (clips_fts, rowid, title, description, tags)
    VALUES ('delete', old.id, old.title, old.description, old.tags);
    INSERT INTO clips_fts (rowid, title, description, tags)
    VALUES (new.id, new.title, new.description, new.tags);
END;
