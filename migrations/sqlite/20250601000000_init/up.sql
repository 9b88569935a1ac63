-- Times are microseconds since 1970 UTC, JSON is text that keeps the order of its keys, enums are text with a CHECK.

-- One row a recording. sent_start and sent_end are what the client sent first: a repeat is compared with these.
CREATE TABLE recordings (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'completed')),
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    duration DOUBLE,
    start_missing BOOLEAN NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    sent_start TEXT,
    sent_end TEXT
);
CREATE INDEX recordings_by_start ON recordings (started_at);
CREATE INDEX recordings_active ON recordings (started_at) WHERE status = 'active';

-- size is the acknowledged length in bytes: what lies beyond it in a live track's file was never promised.
CREATE TABLE tracks (
    recording_id TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('server', 'client')),
    state TEXT NOT NULL CHECK (state IN ('live', 'stored')),
    size BIGINT NOT NULL,
    duration DOUBLE,
    codec TEXT,
    sample_rate INTEGER,
    channels INTEGER,
    sha256 TEXT,
    probe_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (recording_id, name)
);

-- Ids are reserved before the row exists, count up with the time of creation and are never used twice.
CREATE TABLE clips (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    title TEXT NOT NULL,
    file_path TEXT NOT NULL,
    recording_id TEXT REFERENCES recordings (id) ON DELETE SET NULL,
    description TEXT,
    game_name TEXT,
    game_id TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    file_size BIGINT,
    duration DOUBLE,
    resolution TEXT,
    fps DOUBLE,
    codec TEXT,
    recorded_at BIGINT,
    processed BOOLEAN NOT NULL,
    processing_status TEXT NOT NULL
        CHECK (processing_status IN ('pending', 'processing', 'completed', 'failed')),
    provenance TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    owns_file BOOLEAN NOT NULL,
    version BIGINT NOT NULL
);
-- Each of these ends with the id, so that it also gives the newest first.
CREATE INDEX clips_by_recording ON clips (recording_id) WHERE recording_id IS NOT NULL;
CREATE INDEX clips_by_game ON clips (game_name) WHERE game_name IS NOT NULL;
CREATE INDEX clips_by_processed ON clips (processed);
CREATE INDEX clips_by_status ON clips (processing_status);
CREATE INDEX clips_by_moment ON clips (coalesce(recorded_at, created_at));

-- The words of a clip. The tags are indexed as the JSON text they are stored as.
CREATE VIRTUAL TABLE clips_fts USING fts5 (
    title, description, tags,
    content = 'clips', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER clips_fts_insert AFTER INSERT ON clips BEGIN
    INSERT INTO clips_fts (rowid, title, description, tags)
    VALUES (new.id, new.title, new.description, new.tags);
END;
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

-- The journal. seq orders it and is never used twice; priority is 0 (low) to 3 (critical).
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    time BIGINT NOT NULL,
    data TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id TEXT,
    priority SMALLINT NOT NULL,
    depth SMALLINT NOT NULL
);
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;

-- One event for one plugin; hook names a question that is asked in the background. An acknowledged row is deleted.
-- waiting: an earlier one of the same plugin and subject is not done; delayed: tried again at next_at.
CREATE TABLE deliveries (
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
CREATE INDEX deliveries_ready ON deliveries (plugin, rank DESC) WHERE state = 'ready';
CREATE INDEX deliveries_delayed ON deliveries (next_at) WHERE state = 'delayed';
CREATE INDEX deliveries_in_order ON deliveries (plugin, subject)
    WHERE state <> 'dead' AND subject IS NOT NULL;

-- enabled is what was last set over HTTP; null = the manifest decides. registered is false after DELETE.
CREATE TABLE plugins (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT,
    description TEXT,
    version TEXT,
    author TEXT,
    plugin_type TEXT NOT NULL,
    entry_point TEXT,
    install_path TEXT,
    enabled BOOLEAN,
    registered BOOLEAN NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version_count BIGINT NOT NULL
);

CREATE TABLE plugin_configurations (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    plugin_id BIGINT NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (plugin_id, key)
);

-- What scripts keep, by the plugin's name: it outlives the plugin's row until a purge.
CREATE TABLE plugin_kv (
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (plugin, key)
) WITHOUT ROWID;
CREATE INDEX plugin_kv_expiring ON plugin_kv (expires_at) WHERE expires_at IS NOT NULL;

-- What a plugin did for a recording.
CREATE TABLE plugin_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    plugin TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    task TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    inputs TEXT NOT NULL,
    outputs TEXT NOT NULL,
    error TEXT,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX plugin_tasks_by_recording ON plugin_tasks (recording_id);

-- secret_hash is the SHA-256 of the secret in hex; scopes is a JSON array of names.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT,
    detail TEXT NOT NULL
);

-- The answer to a request with an Idempotency-Key; fingerprint is a hash of its body.
CREATE TABLE idempotency (
    key TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status SMALLINT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Counts and sums that are kept up to date by every commit, so that nobody has to scan for them.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
