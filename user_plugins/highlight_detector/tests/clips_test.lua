---@type Test
local t = require("@panotti/test")

t.case("the loud part of a clip's sound is written into its metadata", function()
  local host = t.host()
  local path = host:wav("talk.wav", {
    { seconds = 4, level = -50 },
    { seconds = 1, level = -6 },
    { seconds = 4, level = -50 },
  })
  local clip = host:fire("on_clip_captured", t.clip({ file_path = path }))
  t.eq(clip.metadata.highlight_count, 1)
  t.eq(clip.metadata.analyzed_by, "highlight_detector")
  local found = clip.metadata.highlights[1]
  t.near(found.timestamp, 4, 0.1)
  t.near(found.duration, 1, 0.2)
end)

t.case("a clip without sound is left alone", function()
  local host = t.host()
  local clip = host:fire("on_clip_captured", t.clip({ file_path = "nowhere.mp4" }))
  t.eq(clip.metadata, {})
  t.ok(string.find(host:log()[1].message, "no highlights", 1, true))
end)

t.case("a clip longer than max_seconds is not looked at", function()
  local host = t.host({ config = { max_seconds = 1 } })
  local path = host:wav("long.wav", { { seconds = 2, level = -20 } })
  local clip = host:fire("on_clip_captured", t.clip({ file_path = path }))
  t.eq(clip.metadata, {})
end)
