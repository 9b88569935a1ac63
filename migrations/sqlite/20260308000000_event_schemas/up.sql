-- What the data of events of a type must be like: a JSON schema, who set it and when.
CREATE TABLE event_schemas (
    kind TEXT NOT NULL PRIMARY KEY,
    schema TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
