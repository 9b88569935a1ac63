-- Other servers that are told of events. events is a JSON array of patterns, filter a JSON object or null; secret and
-- old_secret are whsec_<base64> in plain text, since they sign, old_secret until old_secret_until; failing_since is the
-- first failure after the last success.
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    filter TEXT,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    timeout_s BIGINT NOT NULL,
    failing_since BIGINT,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- What was sent to a webhook, the last ones of each. kind is delivery, again (told again on demand) or test; status is
-- that of the answer, answer its first KiB.
CREATE TABLE webhook_attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    webhook TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('delivery', 'again', 'test')),
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    answer TEXT
);
CREATE INDEX webhook_attempts_by_webhook ON webhook_attempts (webhook, id);
