-- Run with `panotti test {{name}}`. Each case gets a server of its own; nothing here reaches the real one.
---@type Test
local t = require("@panotti/test")

t.case("a recording with a refused word in its title does not start", function()
  local host = t.host({ config = { refused_words = { "private" } } })
  local recording, refused = host:fire("before_recording_start", t.recording({ title = "Private talk" }))
  t.eq(recording, nil)
  t.eq(refused.message, "recordings about 'private' are not wanted here")
end)

t.case("where there is no title, that of the meeting counts", function()
  local meeting = t.recording({ title = t.null, metadata = { eventTitle = "Confidential" } })
  local _, refused = t.host():fire("before_recording_start", meeting)
  t.ok(refused)
end)

t.case("any other recording starts unchanged", function()
  local recording = t.host():fire("before_recording_start", t.recording({ title = "Standup" }))
  t.eq(recording.title, "Standup")
end)
