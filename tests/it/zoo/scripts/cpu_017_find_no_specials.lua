-- hostile: cpu_017_find_no_specials
-- class: cpu
-- phase: hook
-- expect: deadline|limit|ok
-- max_ms: 400
-- max_mib: 64
-- api: none
-- lua51: yes
-- why: same as 016 without the plain flag (no magic characters => plain path)
-- note: UNINTERRUPTIBLE in Luau 0.740
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local n = 2^22
  return string.find(string.rep('a', n), string.rep('a', n / 2) .. 'b')
end
