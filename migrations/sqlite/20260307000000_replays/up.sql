-- Past events that are told again. selection is JSON: which ones; subscriber NULL = all who want them. The journal is
-- gone through from cursor to until (places of events; numbers of deliveries when dead ones are told again); the
-- deliveries are noted in small batches. done and failed are filled in at the end.
CREATE TABLE replays (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    selection TEXT NOT NULL,
    subscriber TEXT,
    asked_by TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    until BIGINT NOT NULL,
    matched BIGINT NOT NULL DEFAULT 0,
    queued BIGINT NOT NULL DEFAULT 0,
    done BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX replays_running ON replays (id) WHERE state = 'running';

-- Patterns for which a plugin was given the past once.
CREATE TABLE backfills (
    plugin TEXT NOT NULL,
    pattern TEXT NOT NULL,
    replay_id BIGINT NOT NULL,
    PRIMARY KEY (plugin, pattern)
) WITHOUT ROWID;

DROP INDEX deliveries_of_replay;
CREATE INDEX deliveries_of_replay ON deliveries (replay_id, state, subscriber) WHERE replay_id IS NOT NULL;
CREATE INDEX deliveries_given_up_last ON deliveries (id) WHERE state IN ('dead', 'quarantined');
