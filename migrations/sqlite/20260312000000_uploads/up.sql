-- Files that come in pieces. received: the bytes that were acknowledged; the file has at least so many. path: the name the
-- file is being given as a track, from the media folder on; none while it only grows. metadata: the header as it was sent.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    recording_id TEXT NOT NULL,
    track TEXT NOT NULL,
    replaces BOOLEAN NOT NULL,
    content_type TEXT,
    metadata TEXT NOT NULL,
    length BIGINT NOT NULL CHECK (length >= 0),
    received BIGINT NOT NULL CHECK (received BETWEEN 0 AND length),
    path TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT
);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);
