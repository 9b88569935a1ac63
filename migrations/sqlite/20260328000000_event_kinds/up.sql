-- Of which types the events of a block are: the 64 places of the journal that have the same number when it is divided by
-- 64. An index over all events has a place to write for each type with every commit; this has new rows a few times per block.
CREATE TABLE event_kinds (
    kind TEXT NOT NULL,
    block BIGINT NOT NULL,
    PRIMARY KEY (kind, block)
) WITHOUT ROWID;
INSERT INTO event_kinds (kind, block)
    SELECT DISTINCT kind, seq / 64 FROM events INDEXED BY events_by_kind ORDER BY kind, seq / 64;
DROP INDEX events_by_kind;
