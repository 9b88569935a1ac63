DROP INDEX deliveries_claimed_again;
DROP INDEX events_by_time;
CREATE INDEX events_by_time ON events (time);
CREATE INDEX deliveries_claimed ON deliveries (epoch) WHERE state = 'claimed';
DROP TRIGGER deliveries_last;
DROP TRIGGER clips_last;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY NOT NULL', 'INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL')
    WHERE type = 'table' AND name IN ('clips', 'events', 'deliveries', 'plugin_tasks');
PRAGMA writable_schema = RESET;
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'clips', max(coalesce((SELECT max(id) FROM clips), 0), coalesce((SELECT value FROM counters WHERE name = 'clips.last'), 0))
    UNION ALL
    SELECT 'deliveries', max(coalesce((SELECT max(id) FROM deliveries), 0), coalesce((SELECT value FROM counters WHERE name = 'deliveries.last'), 0))
    UNION ALL
    SELECT 'events', max(coalesce((SELECT max(seq) FROM events), 0), coalesce((SELECT value FROM counters WHERE name = 'events.removed_through'), 0))
    UNION ALL
    SELECT 'plugin_tasks', coalesce((SELECT max(id) FROM plugin_tasks), 0);
DELETE FROM counters WHERE name IN ('clips.last', 'deliveries.last');
