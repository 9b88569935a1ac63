-- hostile: mem_041_host_copies
-- class: mem
-- phase: hook
-- expect: ok|limit|deadline|memory
-- max_ms: 400
-- max_mib: 64
-- api: fs
-- lua51: no
-- why: one string of the VM becomes hundreds of copies outside of it
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local s = string.rep("x", 10 * 2 ^ 20)
  for i = 1, 400 do
    panotti.task.spawn(function() panotti.fs.write("f", s) end)
  end
  panotti.sleep(0.3)
end
