-- What an admin has granted to a plugin; permissions is JSON as in a manifest, manifest_hash the BLAKE3 of what the
-- manifest asked for at that moment.
CREATE TABLE plugin_grants (
    plugin TEXT NOT NULL PRIMARY KEY,
    permissions TEXT NOT NULL,
    manifest_hash TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at BIGINT NOT NULL
);
