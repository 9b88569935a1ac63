-- hostile: cpu_018_split_quadratic
-- class: cpu
-- phase: hook
-- expect: deadline|limit|ok
-- max_ms: 400
-- max_mib: 64
-- api: none
-- lua51: no
-- why: string.split with a long separator is a naive scan in one C call
-- note: UNINTERRUPTIBLE in Luau 0.740
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local n = 2^22
  return #string.split(string.rep('a', n), string.rep('a', n / 2) .. 'b')
end
