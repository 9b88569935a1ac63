-- What each plugin's files were, every time others went live; number counts for each plugin from 1.
-- restores: the version whose files these are again. rolled_back_at and rolled_back_why: it was gone back from.
CREATE TABLE plugin_versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    plugin_id BIGINT NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL,
    generation BIGINT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('disk', 'api', 'rollback', 'automatic_rollback')),
    author TEXT NOT NULL,
    note TEXT,
    at BIGINT NOT NULL,
    restores BIGINT,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    rolled_back_at BIGINT,
    rolled_back_why TEXT,
    UNIQUE (plugin_id, number)
);

-- The bytes of files by their BLAKE3, each once, whatever versions of whatever plugins have them; size is that of
-- the file, deflated says how bytes are kept.
CREATE TABLE plugin_blobs (
    hash TEXT NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    deflated BOOLEAN NOT NULL,
    bytes BLOB NOT NULL
);

CREATE TABLE plugin_version_files (
    version_id BIGINT NOT NULL REFERENCES plugin_versions (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    blob TEXT NOT NULL REFERENCES plugin_blobs (hash),
    PRIMARY KEY (version_id, path)
) WITHOUT ROWID;
CREATE INDEX plugin_version_files_by_blob ON plugin_version_files (blob);
