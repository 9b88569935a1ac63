-- Computing elsewhere, and waiting.
--
-- A plugin's hooks share one VM: while one computes, the others wait. panotti.task.run calls a function of a module in
-- another VM of this plugin, on another thread; this one just waits for the result. Only plain values cross, as copies.
-- At most `max_concurrent_tasks` (plugin.yaml, limits) run at once; the next ones queue.

panotti.on.before_recording_start(function(recording)
  local result, failure = panotti.task.run("lib.work.checksum", recording.id, panotti.config.rounds)
  if not result then
    panotti.log.warn("the work failed: " .. failure.message, { recording = recording.id })
    return
  end
  panotti.log.info("computed", { recording = recording.id, checksum = result.checksum })

  panotti.sleep(panotti.config.wait_seconds)
  panotti.log.info("waited", { recording = recording.id })
  return { metadata = { hybrid_example = { checksum = result.checksum, rounds = result.rounds } } }
end)

-- Nothing to clean up: the other VMs belong to the server.
panotti.on.after_recording_end(function(recording)
  panotti.log.info("recording over", { recording = recording.id, runs_here = require("lib.work").runs })
end)
