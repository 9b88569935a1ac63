-- hostile: cpu_060_room_without_values
-- class: cpu
-- phase: hook
-- expect: limit|deadline|memory
-- max_ms: 400
-- max_mib: 64
-- api: json
-- lua51: no
-- why: tables with room for millions of values and none in it, reached many times
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  return panotti.json.encode(table.create(99000, table.create(2e6)))
end
