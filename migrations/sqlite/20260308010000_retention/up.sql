-- How many events there are and what they take, kept with every change; each takes what its texts do and 600 bytes
-- for the rest of its row and its places in indexes. events.removed_through: the last place that was removed.
INSERT INTO counters (name, value) SELECT 'events.count', count(*) FROM events HAVING count(*) > 0;
INSERT INTO counters (name, value)
    SELECT 'events.bytes', sum(octet_length(data) + coalesce(octet_length(subject), 0) + 600) FROM events
    HAVING count(*) > 0;
