-- Run with `panotti test {{name}}`. Each case gets a server of its own; nothing here reaches the real one.
---@type Test
local t = require("@panotti/test")

t.case("a note is kept and read again", function()
  local host = t.host({ now = "2026-03-01T12:00:00Z" })
  t.eq(host:request("PUT", "/notes/tuesday", { json = { text = "buy milk" } }).json, { saved = "tuesday" })
  t.eq(host:request("GET", "/notes/tuesday").json, { text = "buy milk", at = "2026-03-01T12:00:00Z" })
  t.eq(host:request("GET", "/notes").json, { names = { "tuesday" } })
end)

t.case("what is no note is refused", function()
  local host = t.host()
  t.eq(host:request("PUT", "/notes/x", { json = { words = 1 } }).status, 400)
  t.eq(host:request("GET", "/notes/x").status, 404)
end)
