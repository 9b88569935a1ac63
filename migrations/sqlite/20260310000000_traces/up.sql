-- Recorded calls into plugins that are kept: failures, refusals, and a sample of the rest. `body` is the whole trace
-- as JSON, secrets removed; the other columns are for lists. number: counts up with time. bytes: of the body.
CREATE TABLE traces (
    number INTEGER PRIMARY KEY NOT NULL,
    plugin TEXT NOT NULL,
    hook TEXT NOT NULL,
    generation BIGINT NOT NULL,
    at BIGINT NOT NULL,
    took_us BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    kept TEXT NOT NULL,
    request_id TEXT,
    subject TEXT,
    message TEXT,
    bytes BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX traces_by_plugin ON traces (plugin, number);
CREATE INDEX traces_by_request ON traces (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX traces_by_subject ON traces (subject) WHERE subject IS NOT NULL;
CREATE INDEX traces_by_size ON traces (number, bytes, at);
