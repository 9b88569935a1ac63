-- hostile: ev_009_spawn_bomb
-- class: ev
-- phase: hook
-- expect: limit|deadline
-- max_ms: 3000
-- max_mib: 64
-- api: spawn
-- lua51: yes
-- why: tasks that spawn tasks
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local function f() panotti.task.spawn(f) panotti.task.spawn(f) end
  f()
  panotti.sleep(100)
end
