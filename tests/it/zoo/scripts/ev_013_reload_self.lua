-- hostile: ev_013_reload_self
-- class: ev
-- phase: hook
-- expect: denied|ok|runtime
-- max_ms: 400
-- max_mib: 64
-- api: http
-- lua51: yes
-- why: plugin asks the host to reload/disable plugins from inside a hook: queued, never re-entrant, no deadlock
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  for i = 1, 1000 do panotti.http.post('http://127.0.0.1:8080/api/v1/plugins/self/reload') end
end
