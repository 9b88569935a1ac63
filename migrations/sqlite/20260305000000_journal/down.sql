CREATE TABLE deliveries_old (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    event_seq BIGINT NOT NULL,
    plugin TEXT NOT NULL,
    hook TEXT,
    subject TEXT,
    rank SMALLINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'claimed', 'delayed', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    epoch BIGINT,
    next_at BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL
);
INSERT INTO deliveries_old
    SELECT id, event_seq, subscriber, hook, subject, max(rank, 0),
        CASE state WHEN 'suspect' THEN 'ready' WHEN 'quarantined' THEN 'dead' ELSE state END,
        attempts, epoch, next_at, last_error, created_at
    FROM deliveries
    WHERE state NOT IN ('done', 'expired') AND NOT replay AND subscriber NOT LIKE 'webhook/%';
DROP TABLE deliveries;
ALTER TABLE deliveries_old RENAME TO deliveries;
CREATE INDEX deliveries_ready ON deliveries (plugin, rank DESC) WHERE state = 'ready';
CREATE INDEX deliveries_delayed ON deliveries (next_at) WHERE state = 'delayed';
CREATE INDEX deliveries_in_order ON deliveries (plugin, subject)
    WHERE state <> 'dead' AND subject IS NOT NULL;
DELETE FROM counters WHERE name LIKE 'events:%';
DROP INDEX events_by_time;
DROP INDEX events_by_correlation;
DROP INDEX events_by_kind;
ALTER TABLE events DROP COLUMN expires_at;
