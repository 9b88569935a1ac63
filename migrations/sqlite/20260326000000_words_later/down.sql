INSERT INTO clips_fts (rowid, title, description, tags)
    SELECT id, title, description, tags FROM clips
    WHERE id > (SELECT value FROM counters WHERE name = 'clips.words_through') ORDER BY id;
DROP TRIGGER clips_fts_delete;
DROP TRIGGER clips_fts_update;
CREATE TRIGGER clips_fts_delete AFTER DELETE ON clips BEGIN
    INSERT INTO clips_fts (clips_fts, rowid, title, description, tags)
    VALUES ('delete', old.id, old.title, old.description, old.tags);
END;
CREATE TRIGGER clips_fts_update AFTER UPDATE OF title, description, tags ON clips
WHEN old.title IS NOT new.title OR old.description IS NOT new.description OR old.tags IS NOT new.tags BEGIN
    INSERT INTO clips_fts (clips_fts, rowid, title, description, tags)
    VALUES ('delete', old.id, old.title, old.description, old.tags);
    INSERT INTO clips_fts (rowid, title, description, tags)
    VALUES (new.id, new.title, new.description, new.tags);
END;
DELETE FROM counters WHERE name = 'clips.words_through';
