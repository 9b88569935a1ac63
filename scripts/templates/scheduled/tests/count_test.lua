-- Run with `panotti test {{name}}`. The clock stands still until a case moves it; an hour costs nothing.
---@type Test
local t = require("@panotti/test")

t.case("the clips are counted after every_seconds", function()
  local host = t.host({ config = { every_seconds = 600 }, now = "2026-03-01T12:00:00Z" })
  t.eq(host.kv:get("clips"), nil)
  host:advance(600)
  t.eq(host.kv:get("clips"), { total = 0, at = "2026-03-01T12:10:00Z" })
end)

t.case("at four in the morning it says good night", function()
  local host = t.host({ now = "2026-03-01T03:59:00Z" })
  host:advance(60)
  local log = host:log()
  t.eq(log[#log].message, "good night")
end)
