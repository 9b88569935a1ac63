-- hostile: ev_005_register_flood
-- class: ev
-- phase: hook
-- expect: limit|runtime
-- max_ms: 2000
-- max_mib: 64
-- api: hooks
-- lua51: yes
-- why: a million hook registrations
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  for i = 1, 1000000 do panotti.on('recording.started', function() end) end
end
