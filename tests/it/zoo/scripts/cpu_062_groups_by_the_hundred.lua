-- hostile: cpu_062_groups_by_the_hundred
-- class: cpu
-- phase: hook
-- expect: ok|limit|deadline
-- max_ms: 400
-- max_mib: 64
-- api: regex
-- lua51: no
-- why: a pattern with more groups than states
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  local pattern = "(?-u)^(?:" .. string.rep("(a)?(b)?", 60) .. ")*$"
  return { metadata = { n = #panotti.regex.match(pattern, string.rep("ab", 2 ^ 19)) } }
end
