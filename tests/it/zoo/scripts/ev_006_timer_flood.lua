-- hostile: ev_006_timer_flood
-- class: ev
-- phase: hook
-- expect: limit|runtime
-- max_ms: 2000
-- max_mib: 64
-- api: timers
-- lua51: yes
-- why: timers: a million / zero / negative / NaN interval
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  for i = 1, 1000000 do panotti.schedule.every(0, 'n' .. i, function() end) end
end
