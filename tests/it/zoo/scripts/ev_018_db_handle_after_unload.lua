-- hostile: ev_018_db_handle_after_unload
-- class: ev
-- phase: hook
-- expect: ok|runtime|denied
-- max_ms: 400
-- max_mib: 64
-- api: timers,db
-- lua51: yes
-- why: closure kept by a timer runs after unload
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  panotti.task.delay(0.05, function() panotti.db.query('SELECT 1') end)
  return 'unload me now'
end
