-- hostile: cpu_061_long_misspelt_name
-- class: cpu
-- phase: hook
-- expect: runtime|deadline|limit
-- max_ms: 400
-- max_mib: 64
-- api: none
-- lua51: no
-- why: the search for what a name may have meant grows with its length
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  return panotti[string.rep("x", 8 * 2 ^ 20)]
end
