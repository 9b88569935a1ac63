-- Work that goes on after the hook that started it has returned.
--
-- panotti.task.spawn starts a function and gives back a task. The task is a call of its own, with its own time and its
-- own limits. The hook returns at once, so the client does not wait.

-- The tasks that are under way, by recording.
local tasks = {}

local function work(id)
  panotti.log.info("long work started", { recording = id })
  for step = 1, panotti.config.steps do
    panotti.sleep(panotti.config.step_seconds)
    panotti.log.debug("one step done", { recording = id, step = step })
  end
  panotti.log.info("long work done", { recording = id })
  return panotti.config.steps
end

panotti.on.before_recording_start(function(recording)
  local id = recording.id
  tasks[id] = panotti.task.spawn(work, id)
  panotti.log.info("hook returned", { recording = id })
end)

panotti.on.after_recording_end(function(recording)
  -- nil when the server or the plugin was started anew meanwhile: tasks live in memory.
  local task = tasks[recording.id]
  tasks[recording.id] = nil
  if not task then
    panotti.log.info("nothing to wait for", { recording = recording.id })
    return
  end
  local steps, failure = task:join(panotti.config.join_seconds)
  if failure then
    panotti.log.warn("the work did not end well: " .. failure.message, { recording = recording.id })
    return
  end
  panotti.kv.set("last", { recording = recording.id, steps = steps })
  panotti.log.info("joined", { recording = recording.id, steps = steps })
end)

-- A recording that is deleted never ends: let its task go.
panotti.events.subscribe("recording.deleted", function(event)
  local task = tasks[event.data.id]
  tasks[event.data.id] = nil
  if task then
    task:cancel()
  end
end)
