local seen = 0
panotti.on.on_load(function(state) if state then seen = state.seen end end)
panotti.on.on_unload(function() return { seen = seen } end)
panotti.on.health(function() return seen < 3, "seen " .. seen, { seen = seen } end)
panotti.on.on_config_changed(function(c) panotti.kv.set("greeting", c.greeting) end)
panotti.on.before_recording_start(function(r)
  seen = seen + 1
  if r.title == "no" then return panotti.deny("not wanted") end
  if r.title == "slow" then panotti.sleep(60) end
  if r.title == "boom" then error("kaboom") end
  if r.title == "wait" then panotti.sleep(1); return { title = "waited" } end
  return { metadata = { seen = seen } }
end)
panotti.on.after_recording_end(function(r)
  panotti.sleep(5)
  local answer, err = panotti.http.get("https://api.example/notes/" .. r.id, { timeout = 2 })
  panotti.events.publish("all.noted", { id = r.id, status = answer and answer.status, err = err and err.code, body = answer and answer.body })
  panotti.kv.incr("ended")
  panotti.task.delay(10, function() panotti.kv.set("later", panotti.time.format()) end)
end)
panotti.events.subscribe("some.thing", function(event)
  panotti.kv.set("got", event.data)
  if event.data.fails then error("handler fails") end
end)
panotti.schedule.every(60, "minute", function(run) panotti.kv.incr("minutes") end)
panotti.schedule.cron("0 4 * * *", "night", function(run) panotti.kv.set("night", run.scheduled_at) end)
panotti.route("GET", "/hello/{name}", function(q) return { hello = q.params.name, config = panotti.config.greeting, q = q.query.q, n = q.query.n } end)
panotti.route("GET", "/run", function()
  local done, err = panotti.process.run("ffmpeg", { "-i", "x" }, { stdin = "in" })
  return { code = done and done.code, out = done and done.stdout or done and done.output, err = err }
end)
panotti.route("GET", "/db", function()
  local rows, err = panotti.db.query("select 1 + 1 as two")
  return { rows = rows, err = err }
end)
panotti.route("GET", "/dice", function() return { math.random(1000000), panotti.uuid() } end)
panotti.route("GET", "/task", function()
  local task = panotti.task.spawn(function() panotti.sleep(100); return "done" end)
  local done, err = task:join(3)
  return { done = done, err = err and err.code }
end)
panotti.route("GET", "/clip", function()
  local clip, err = panotti.clips.create({ title = "made", file_path = "x.mp4" })
  return { id = clip and clip.id, err = err }
end)
