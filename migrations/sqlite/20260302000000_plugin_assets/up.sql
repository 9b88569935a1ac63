-- What plugins keep for clients; the bytes lie in a file named by their SHA-256.
CREATE TABLE plugin_assets (
    plugin TEXT NOT NULL,
    name TEXT NOT NULL,
    mime TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (plugin, name)
);
CREATE INDEX plugin_assets_by_hash ON plugin_assets (plugin, sha256);
