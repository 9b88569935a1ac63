-- What plugins want to be called for again and again. when_text is seconds (kind every) or a cron expression (kind cron,
-- read in the zone tz); next_at, in microseconds UTC, is advanced before a run begins. skipped counts runs left out
-- because the one before went on.
CREATE TABLE schedules (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    plugin TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('every', 'cron')),
    when_text TEXT NOT NULL,
    tz TEXT NOT NULL,
    missed TEXT NOT NULL CHECK (missed IN ('skip', 'once')),
    overlap TEXT NOT NULL CHECK (overlap IN ('skip', 'queue', 'allow')),
    paused BOOLEAN NOT NULL,
    next_at BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (plugin, name)
);

-- The last runs of each schedule; outcome is `running` until it has ended, `interrupted` when the server ended first.
CREATE TABLE schedule_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    schedule_id BIGINT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    cause TEXT NOT NULL CHECK (cause IN ('timer', 'missed', 'manual')),
    scheduled_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT NOT NULL,
    error TEXT
);
CREATE INDEX schedule_runs_by_schedule ON schedule_runs (schedule_id, id);

-- What was done once for an id; result is the JSON its function returned.
CREATE TABLE plugin_once (
    plugin TEXT NOT NULL,
    id TEXT NOT NULL,
    result TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (plugin, id)
) WITHOUT ROWID;
CREATE INDEX plugin_once_by_time ON plugin_once (at);
