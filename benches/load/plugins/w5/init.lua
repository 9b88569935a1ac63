local function burn(n)
  local x = 1
  for _ = 1, n do x = (x * 1664525 + 1013904223) % 4294967296 end
  return x
end
-- So many rounds take a millisecond here.
local best = math.huge
for _ = 1, 5 do
  local began = os.clock()
  burn(200000)
  best = math.min(best, os.clock() - began)
end
local N = math.floor(0.001 * 200000 / best)
panotti.on.on_clip_captured(function(clip) return { metadata = { x = burn(N) } } end)
