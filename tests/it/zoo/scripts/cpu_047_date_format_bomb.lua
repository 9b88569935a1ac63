-- hostile: cpu_047_date_format_bomb
-- class: cpu
-- phase: hook
-- expect: runtime|ok|deadline|memory|limit
-- max_ms: 400
-- max_mib: 64
-- api: none
-- lua51: yes
-- why: os.date with a monstrous format
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  return #os.date(string.rep('%c', 200000))
end
