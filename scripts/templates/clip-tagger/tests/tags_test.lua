-- Run with `panotti test {{name}}`. Each case gets a server of its own; nothing here reaches the real one.
---@type Test
local t = require("@panotti/test")

t.case("a word in the title becomes a tag", function()
  local host = t.host({ config = { words = { goal = "highlight" } } })
  local clip = host:fire("on_clip_captured", t.clip({ title = "What a goal!", duration = 5 }))
  t.eq(clip.tags, { "highlight" })
end)

t.case("a long clip is tagged as such, after the tags of the client", function()
  local host = t.host({ config = { long_seconds = 30 } })
  local clip = host:fire("on_clip_captured", t.clip({ duration = 41, tags = { "mine" } }))
  t.eq(clip.tags, { "mine", "long" })
end)

t.case("other clips stay as they are", function()
  local clip = t.host():fire("on_clip_captured", t.clip({ title = "Nothing", duration = 5 }))
  t.eq(clip.tags, {})
end)
