-- expires_at: after it the event is no longer delivered.
ALTER TABLE events ADD COLUMN expires_at BIGINT;
CREATE INDEX events_by_kind ON events (kind);
CREATE INDEX events_by_correlation ON events (correlation_id);
CREATE INDEX events_by_time ON events (time);
INSERT INTO counters (name, value) SELECT 'events:' || kind, count(*) FROM events GROUP BY kind;

-- One event for one subscriber (a plugin by its name, or webhook/<id>); hook names a question that is asked in the
-- background. Kept as long as its event.
-- waiting: an earlier one of the same subscriber, subject and lane is not done; suspect: ready, but under way when a
-- process died, so it is claimed apart from the others; delayed: tried again at next_at; done, dead, quarantined and
-- expired are final. replay is the lane; crashes counts processes that died while it was claimed.
CREATE TABLE deliveries_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    event_seq BIGINT NOT NULL,
    subscriber TEXT NOT NULL,
    hook TEXT,
    subject TEXT,
    rank SMALLINT NOT NULL,
    replay BOOLEAN NOT NULL,
    replay_id BIGINT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'suspect', 'claimed', 'delayed',
        'done', 'dead', 'quarantined', 'expired')),
    attempts INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    epoch BIGINT,
    next_at BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    began_at BIGINT,
    ended_at BIGINT
);
INSERT INTO deliveries_new
    (id, event_seq, subscriber, hook, subject, rank, replay, state, attempts, epoch, next_at, last_error, created_at)
    SELECT id, event_seq, plugin, hook, subject, rank, FALSE, state, attempts, epoch, next_at, last_error, created_at
    FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_new RENAME TO deliveries;
CREATE INDEX deliveries_by_event ON deliveries (event_seq);
CREATE INDEX deliveries_ready ON deliveries (subscriber, rank DESC) WHERE state = 'ready';
CREATE INDEX deliveries_suspect ON deliveries (subscriber) WHERE state = 'suspect';
CREATE INDEX deliveries_claimed ON deliveries (epoch) WHERE state = 'claimed';
CREATE INDEX deliveries_delayed ON deliveries (next_at) WHERE state = 'delayed';
CREATE INDEX deliveries_in_order ON deliveries (subscriber, subject, replay)
    WHERE state IN ('waiting', 'ready', 'suspect', 'claimed', 'delayed');
CREATE INDEX deliveries_given_up ON deliveries (subscriber) WHERE state IN ('dead', 'quarantined');
CREATE INDEX deliveries_of_replay ON deliveries (replay_id) WHERE replay_id IS NOT NULL;
