CREATE INDEX events_by_kind ON events (kind);
DROP TABLE event_kinds;
