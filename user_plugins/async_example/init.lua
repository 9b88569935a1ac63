-- Waiting, and waiting for several things at once.
--
-- A hook that waits just waits: panotti.sleep, http, files and the database let the plugin's other hooks run meanwhile.
-- There is no `await`. In a before-hook the client waits too, so keep it short there.

local function setup(recording)
  panotti.sleep(panotti.config.setup_seconds)
  panotti.log.info("setup done", { recording = recording.id })
end

-- Stands for the work on the audio.
local function process_audio(recording)
  panotti.log.info("processing started", { recording = recording.id })
  panotti.sleep(panotti.config.process_seconds)
  panotti.log.info("processing done", { recording = recording.id })
  return "processed"
end

-- Stands for writing to another system.
local function save_metadata(recording)
  panotti.log.info("saving started", { recording = recording.id })
  panotti.sleep(panotti.config.save_seconds)
  panotti.log.info("saving done", { recording = recording.id })
  return "saved"
end

panotti.on.before_recording_start(function(recording)
  setup(recording)
end)

panotti.on.after_recording_end(function(recording)
  local started = panotti.time.monotonic()
  -- Both begin at once. gather returns when the slower one is done: the longest wait counts, not the sum.
  -- If one of them fails, gather raises its error and stops the other.
  local processed, saved = panotti.task.gather(function()
    return process_audio(recording)
  end, function()
    return save_metadata(recording)
  end)
  local seconds = panotti.time.monotonic() - started
  panotti.kv.set("last", { recording = recording.id, audio = processed, metadata = saved, seconds = seconds })
  panotti.log.info("gathered", { recording = recording.id, audio = processed, metadata = saved, seconds = seconds })
end)
