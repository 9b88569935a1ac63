-- hostile: mem_042_bound_copies
-- class: mem
-- phase: hook
-- expect: limit|deadline|memory|runtime|denied
-- max_ms: 400
-- max_mib: 64
-- api: db
-- lua51: no
-- why: one string bound many times to one statement
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local s = string.rep("x", 10 * 2 ^ 20)
  local params = {}
  for i = 1, 900 do params[i] = s end
  return panotti.db.query("SELECT 1", params)
end
