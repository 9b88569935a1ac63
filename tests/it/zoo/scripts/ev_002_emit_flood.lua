-- hostile: ev_002_emit_flood
-- class: ev
-- phase: hook
-- expect: limit|deadline
-- max_ms: 2000
-- max_mib: 64
-- api: events
-- lua51: yes
-- why: a million events: per-plugin rate and queue bound
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  for i = 1, 1000000 do panotti.events.publish('x.y', {i = i}) end
end
