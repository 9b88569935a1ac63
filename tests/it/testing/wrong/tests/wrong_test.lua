local t = require("@panotti/test")

t.case("is right", function()
  t.eq({ 1, { a = "x" } }, { 1, { a = "x" } })
end)

t.case("differs", function()
  local out = t.host():fire("before_recording_start", t.recording({ title = "log" }))
  t.eq({ title = out.title, list = { 1, 2 } }, { title = "other", list = { 1, 3 }, more = true })
end)

t.case("is caught in the plugin", function()
  t.host():fire("before_recording_start", t.recording({ title = "boom" }))
end)

t.case("hangs", function()
  while true do
    pcall(function()
      while true do
      end
    end)
  end
end)

t.case("waits for what never comes", function()
  local host = t.host()
  while true do
    host:advance(1)
  end
end)

t.case("knows its seed", function()
  error("chance " .. math.random(1000000))
end)
