-- Work that goes on after the hook that started it has returned.
--
-- panotti.task.spawn starts a function and gives back a task. The task is a call of its own, with its own time and its
-- own limits. The hook returns at once, so the client does not wait.

-- The tasks of recordings that run, by recording. A task stays here when it is done: what it wrote is committed a moment
-- after its end, and until then only the task itself knows its result.
local tasks = {}

local function work(id)
  panotti.log.info("long work started", { recording = id })
  for step = 1, panotti.config.steps do
    panotti.sleep(panotti.config.step_seconds)
    panotti.log.debug("one step done", { recording = id, step = step })
  end
  -- Tasks live in memory; what they found out is kept for an hour, in case the recording ends later.
  panotti.kv.set("done/" .. id, panotti.config.steps, { ttl = 3600 })
  panotti.log.info("long work done", { recording = id })
  return panotti.config.steps
end

panotti.on.before_recording_start(function(recording)
  tasks[recording.id] = panotti.task.spawn(work, recording.id)
  panotti.log.info("hook returned", { recording = recording.id })
end)

panotti.on.after_recording_end(function(recording)
  local steps, failure
  local task = tasks[recording.id]
  tasks[recording.id] = nil
  if task then
    steps, failure = task:join(panotti.config.join_seconds)
  else
    steps = panotti.kv.get("done/" .. recording.id)
  end
  if failure then
    panotti.log.warn("the work did not end well: " .. failure.message, { recording = recording.id })
  elseif steps then
    panotti.log.info("joined", { recording = recording.id, steps = steps })
  else
    panotti.log.info("nothing to wait for", { recording = recording.id }) -- the server was started anew meanwhile
  end
end)
