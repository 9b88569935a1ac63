-- hostile: ev_011_log_secret
-- class: ev
-- phase: hook
-- expect: runtime
-- max_ms: 400
-- max_mib: 64
-- api: log,config
-- lua51: yes
-- why: secrets must be masked in log and error text
-- always: process alive; other plugins' hooks and HTTP p99 unaffected; plugin VM reusable or replaced; one log line + one metric
return function(ev)
  panotti.log.info('token=' .. tostring(panotti.config.api_key))
  error('key ' .. tostring(panotti.config.api_key))
end
