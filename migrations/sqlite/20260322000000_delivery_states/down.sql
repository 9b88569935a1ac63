CREATE TABLE deliveries_old (
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
INSERT INTO deliveries_old
    (id, event_seq, subscriber, hook, subject, rank, replay, replay_id, state, attempts, crashes, epoch, next_at,
    last_error, created_at, began_at, ended_at)
    SELECT id, event_seq, subscriber, hook, subject, rank, replay, replay_id, state, attempts, crashes, epoch, next_at,
    last_error, created_at, began_at, ended_at
    FROM deliveries;
-- A number is never given twice, also not that of the last row when it is gone.
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'deliveries')
    WHERE name = 'deliveries_old' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'deliveries');
DROP TABLE deliveries;
ALTER TABLE deliveries_old RENAME TO deliveries;
CREATE INDEX deliveries_by_event ON deliveries (event_seq);
CREATE INDEX deliveries_ready ON deliveries (subscriber, rank DESC) WHERE state = 'ready';
CREATE INDEX deliveries_suspect ON deliveries (subscriber) WHERE state = 'suspect';
CREATE INDEX deliveries_claimed ON deliveries (epoch) WHERE state = 'claimed';
CREATE INDEX deliveries_delayed ON deliveries (next_at) WHERE state = 'delayed';
CREATE INDEX deliveries_in_order ON deliveries (subscriber, subject, replay)
    WHERE state IN ('waiting', 'ready', 'suspect', 'claimed', 'delayed');
CREATE INDEX deliveries_given_up ON deliveries (subscriber) WHERE state IN ('dead', 'quarantined');
CREATE INDEX deliveries_of_replay ON deliveries (replay_id, state, subscriber) WHERE replay_id IS NOT NULL;
CREATE INDEX deliveries_given_up_last ON deliveries (id) WHERE state IN ('dead', 'quarantined');
