---@type Test
local t = require("@panotti/test")

t.case("the work is done in another VM and its result is kept", function()
  local host = t.host({ config = { rounds = 3, wait_seconds = 1 } })
  local recording = host:fire("before_recording_start", t.recording({ id = "abc" }))
  local expected = require("lib.work").checksum("abc", 3)
  t.eq(recording.metadata.hybrid_example, expected)
  t.eq(host:now(), "2026-01-01T00:00:01Z")
  host:fire("after_recording_end", t.recording({ id = "abc", duration = 1 }))
  local log = host:log()
  t.eq(log[#log].fields.runs_here, 0)
end)
