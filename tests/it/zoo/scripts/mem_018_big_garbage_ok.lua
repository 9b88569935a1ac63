-- hostile: mem_018_big_garbage_ok
-- class: mem
-- phase: hook
-- expect: ok|deadline
-- max_ms: 2000
-- max_mib: 64
-- api: none
-- lua51: yes
-- why: 8 MiB temporaries under a 64 MiB limit should survive (legit clip metadata work)
-- note: Luau has no emergency GC at the limit: host must retry after a full collect or pace the GC
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  for i = 1, 60 do local s = string.rep('x', 8 * 2^20) .. i end
  return 'fine'
end
