---@type Test
local t = require("@panotti/test")

t.case("the client waits as long as the setup lasts", function()
  local host = t.host({ config = { setup_seconds = 1 } })
  host:fire("before_recording_start", t.recording())
  t.eq(host:now(), "2026-01-01T00:00:01Z")
end)

t.case("of two things at once the longer one counts", function()
  local host = t.host({ config = { process_seconds = 4, save_seconds = 3 } })
  host:fire("after_recording_end", t.recording({ id = "r1", duration = 10 }))
  t.eq(host.kv:get("last"), { recording = "r1", audio = "processed", metadata = "saved", seconds = 4 })
  t.eq(host:now(), "2026-01-01T00:00:04Z")
end)
