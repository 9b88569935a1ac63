DELETE FROM counters WHERE name IN ('events.count', 'events.bytes', 'events.removed_through');
