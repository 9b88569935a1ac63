-- hostile: ev_014_deadlock_call
-- class: ev
-- phase: hook
-- expect: deadline|limit|runtime|denied
-- max_ms: 5500
-- max_mib: 64
-- api: events
-- lua51: yes
-- why: plugin A waits for an event answered only by plugin A
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local r = panotti.import and panotti.import('self').wait()
  return r
end
