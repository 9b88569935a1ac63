-- Passages of a curve of levels that stand out from the rest. Levels are dB over full scale, one for each window.
local loud = {}

local SILENCE = -70 -- dB; what is quieter counts as silence, so noise in a silent clip is no highlight
local BRIDGE = 0.3 -- seconds; a shorter dip, as between words, does not end a passage
local EDGE = 0.5 -- of the margin; a passage reaches as far as it is this much above the rest
local SMOOTH = 0.25 -- seconds; pauses between words are not "the rest"
local RANGE = 40 -- dB above the rest that score 1
local MOST_WINDOWS = 6000 -- a long clip is measured more coarsely, so that looking at it stays cheap
local MOST = 100 -- highlights kept, the loudest

-- The window to measure with, in seconds.
function loud.window(duration, min_duration)
  return math.max(math.min(min_duration / 4, 0.05), duration / MOST_WINDOWS)
end

-- How many dB above the rest a passage must be, for a sensitivity of 0 to 1.
function loud.margin(sensitivity)
  return 24 - 18 * sensitivity
end

-- The levels averaged (as energy) over SMOOTH seconds, sorted from quiet to loud.
local function smoothed(levels, window)
  local reach = math.floor(SMOOTH / window / 2)
  local sums = { 0 }
  for i, level in ipairs(levels) do
    sums[i + 1] = sums[i] + 10 ^ (level / 10)
  end
  local out = {}
  for i = 1, #levels do
    local first, last = math.max(i - reach, 1), math.min(i + reach, #levels)
    local energy = (sums[last + 1] - sums[first]) / (last - first + 1)
    out[i] = 10 * math.log10(math.max(energy, 1e-12))
  end
  table.sort(out)
  return out
end

local function round(value, digits)
  local scale = 10 ^ digits
  return math.floor(value * scale + 0.5) / scale
end

-- The passages that reach `opts.margin` dB above `rest`, with their softer edges.
local function above(levels, rest, opts)
  local found = {}
  local first, last, peak, loud_windows -- the passage that is open
  local function close()
    local from, to = (first - 1) * opts.window, math.min(last * opts.window, opts.duration)
    local is_long = to - from >= opts.min_duration - 1e-6
    -- A click on top of something soft is no passage: half of the shortest length must be really loud.
    if is_long and loud_windows * opts.window >= opts.min_duration / 2 then
      found[#found + 1] = {
        timestamp = round(from, 3),
        duration = round(to - from, 3),
        score = round(math.min((peak - rest) / RANGE, 1), 2),
        type = "loud",
      }
    end
    first = nil
  end
  for i, level in ipairs(levels) do
    if level >= rest + opts.margin * EDGE then
      if first and (i - last - 1) * opts.window > BRIDGE + 1e-6 then
        close()
      end
      if not first then
        first, peak, loud_windows = i, level, 0
      end
      last, peak = i, math.max(peak, level)
      if level >= rest + opts.margin then
        loud_windows = loud_windows + 1
      end
    end
  end
  if first then
    close()
  end
  return found
end

local function loudest(found)
  if #found <= MOST then
    return found
  end
  table.sort(found, function(a, b)
    return a.score > b.score
  end)
  local kept = table.move(found, 1, MOST, 1, {})
  table.sort(kept, function(a, b)
    return a.timestamp < b.timestamp
  end)
  return kept
end

-- The passages that stand out, in order. `opts`: window, duration, margin, min_duration.
function loud.find(levels, opts)
  if #levels == 0 then
    return {}
  end
  local sorted = smoothed(levels, opts.window)
  -- "The rest" is what the clip is like most of the time. Where nothing stands out from that, the loud part may be the
  -- larger one (a clip of the last seconds often is): then it is what the quietest fifth is like.
  for _, share in ipairs({ 0.5, 0.2 }) do
    local rest = math.max(sorted[math.ceil(#sorted * share)], SILENCE)
    local found = above(levels, rest, opts)
    if #found > 0 then
      return loudest(found)
    end
  end
  return {}
end

return loud
