-- The server gives these rows their numbers itself. AUTOINCREMENT looks the last one up among those of all tables, and
-- writes it down, with every row; here it is written down when the last row goes, so that it is not given twice.
-- plugin_tasks needs none of it: the last rows of a recording stay.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'PRIMARY KEY AUTOINCREMENT', 'PRIMARY KEY')
    WHERE type = 'table' AND name IN ('clips', 'events', 'deliveries', 'plugin_tasks');
PRAGMA writable_schema = RESET;

INSERT INTO counters (name, value)
    SELECT name || '.last', seq FROM sqlite_sequence WHERE name IN ('clips', 'deliveries') AND seq > 0;
INSERT INTO counters (name, value)
    SELECT 'events.removed_through', seq FROM sqlite_sequence
    WHERE name = 'events' AND seq > (SELECT coalesce(max(seq), 0) FROM events)
    ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value);
DELETE FROM sqlite_sequence WHERE name IN ('clips', 'events', 'deliveries', 'plugin_tasks');

-- Where a time is on the journal is known to 64 events: whoever wants it exactly looks at so few rows. What a process has
-- claimed is looked for when one starts or ends, among all that is open.
DROP INDEX events_by_time;
CREATE INDEX events_by_time ON events (time) WHERE seq % 64 = 0;
DROP INDEX deliveries_claimed;
CREATE INDEX deliveries_claimed_again ON deliveries (crashes) WHERE state = 'claimed' AND crashes >= 2;

CREATE TRIGGER clips_last AFTER DELETE ON clips WHEN NOT EXISTS (SELECT 1 FROM clips WHERE id > old.id) BEGIN
    INSERT INTO counters (name, value) VALUES ('clips.last', old.id)
        ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value);
END;
CREATE TRIGGER deliveries_last AFTER DELETE ON deliveries
WHEN NOT EXISTS (SELECT 1 FROM deliveries WHERE id > old.id) BEGIN
    INSERT INTO counters (name, value) VALUES ('deliveries.last', old.id)
        ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value);
END;
