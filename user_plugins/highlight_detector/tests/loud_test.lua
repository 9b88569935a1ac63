-- The arithmetic by itself: no host is needed for it.
---@type Test
local t = require("@panotti/test")
local loud = require("lib.loud")

local function curve(...)
  local levels = {}
  for _, part in ipairs({ ... }) do
    for _ = 1, part[1] do
      table.insert(levels, part[2])
    end
  end
  return levels
end

local function find(levels)
  return loud.find(levels, { window = 0.1, duration = #levels / 10, margin = 12, min_duration = 0.5 })
end

t.case("silence and an even noise have no highlights", function()
  t.eq(find({}), {})
  t.eq(find(curve({ 100, -30 })), {})
end)

t.case("a loud passage is found with its place and its score", function()
  local found = find(curve({ 50, -50 }, { 10, -10 }, { 50, -50 }))
  t.eq(found, { { timestamp = 5, duration = 1, score = 1, type = "loud" } })
end)

t.case("a short dip does not end a passage, a long one does", function()
  t.eq(#find(curve({ 50, -50 }, { 10, -10 }, { 2, -50 }, { 10, -10 }, { 50, -50 })), 1)
  t.eq(#find(curve({ 50, -50 }, { 10, -10 }, { 9, -50 }, { 10, -10 }, { 50, -50 })), 2)
end)

t.case("a click is too short", function()
  t.eq(find(curve({ 50, -50 }, { 2, -5 }, { 50, -50 })), {})
end)
