-- Every hook there is, each with one small thing that it is good for.
--
-- A plugin is an ordinary chunk of Lua. While it runs, it says which hooks it wants. Afterwards the server calls them:
-- several may be under way at once, but only one runs at any moment, so plain variables need no lock.
-- `panotti.config` is what plugin.yaml and the admin say; read it where you need it, it can change.

-- Kept in memory, handed over when the plugin is loaded again (see on_unload), gone when the server stops.
local seen = { requests = 0, errors = 0, recordings = 0, clips = 0 }

-- The life of the plugin ------------------------------------------------------------------------------------------

-- Called after this file has run. `state` is what on_unload returned, or nil the first time.
panotti.on.on_load(function(state)
  if state then
    for name in pairs(seen) do
      seen[name] = state[name] or 0
    end
  end
end)

-- Called once all plugins are loaded.
panotti.on.on_startup(function(app)
  panotti.log.info("example is ready", { server = app.version, plugins = #app.plugins })
end)

-- Called when a value of the config has changed. Without this hook the server loads the plugin anew.
panotti.on.on_config_changed(function(config)
  panotti.log.info("example has a new config", { note = config.note })
end)

-- Called every 30 seconds: whether all is well, a sentence, and anything worth showing.
panotti.on.health(function()
  return true, "watching", seen
end)

-- Called before a new version of this plugin takes over. Return what it should know; tear nothing down,
-- because calls that are under way go on here.
panotti.on.on_unload(function()
  return seen
end)

-- Called when the plugin or the server stops. The database is still open.
panotti.on.on_shutdown(function()
  panotti.kv.set("last_run", seen)
end)

-- Requests --------------------------------------------------------------------------------------------------------

-- Asked before every request is looked at. Be quick here: everybody waits. May refuse with panotti.deny, answer with
-- panotti.respond, or return { headers = … } to change what the server sees.
panotti.on.before_request(function()
  seen.requests = seen.requests + 1
end)

-- Asked when the answer is known and not yet sent. `when` is checked by the server: this one costs nothing on the
-- answers that do not fit. May return { headers = … } to change those of the answer.
panotti.on.after_request(function(response)
  seen.errors = seen.errors + 1
  panotti.log.debug("a request failed", { path = response.request.path, status = response.status })
end, { when = { status = { min = 500 } } })

-- Recordings ------------------------------------------------------------------------------------------------------

-- Asked before a recording is stored. `panotti.deny` refuses it. A table is a patch: it is merged into the recording,
-- so name only what you change.
panotti.on.before_recording_start(function(recording, ctx)
  if table.find(panotti.config.refused_titles, recording.title) then
    return panotti.deny("recordings called '" .. recording.title .. "' are not wanted here")
  end
  return { metadata = { example = { note = panotti.config.note, set_off_by = ctx.source } } }
end)

-- Told after a recording has ended and is stored. Nobody waits for this hook. After a crash it may be told again.
panotti.on.after_recording_end(function(recording)
  seen.recordings = seen.recordings + 1
  -- kv outlives restarts. Its writes are stored together with the fact that this hook has returned: once, not twice.
  panotti.kv.incr("recordings")
  panotti.log.info("a recording has ended", { recording = recording.id, seconds = recording.duration })
end)

-- Clips -----------------------------------------------------------------------------------------------------------

-- Asked while a clip is made. What it returns is stored with the clip and is in the answer.
panotti.on.on_clip_captured(function(clip)
  seen.clips = seen.clips + 1
  return { metadata = { example = { note = panotti.config.note, title_length = utf8.len(clip.title) } } }
end)

-- Asked when a clip becomes processed. It already has what on_clip_captured added, so only the new key is named.
panotti.on.on_clip_processed(function()
  return { metadata = { example = { processed_at = panotti.time.format() } } }
end)

-- Told after a clip was changed.
panotti.on.on_clip_updated(function(clip)
  panotti.log.debug("a clip was changed", { clip = clip.id })
end)

-- Told after a clip was deleted, with the clip as it was.
panotti.on.on_clip_deleted(function(clip)
  panotti.log.info("a clip was deleted", { clip = clip.id, title = clip.title })
end)
