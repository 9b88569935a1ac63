-- hostile: mem_040_replacement_bomb
-- class: mem
-- phase: hook
-- expect: limit|deadline|memory
-- max_ms: 400
-- max_mib: 64
-- api: regex
-- lua51: no
-- why: a few bytes of a replacement stand for a long match thousands of times
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  return panotti.regex.replace("(?s-u).*", string.rep("a", 4194000), string.rep("$0", 2500), 1)
end
