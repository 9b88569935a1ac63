-- Finds the passages of a clip's audio that are louder than the rest, and writes them into the clip's metadata:
--   highlights      { { timestamp, duration, score, type }, … }   seconds from the clip's start; score 0..1
--   highlight_count how many
--   analyzed_by     this plugin's name
local loud = require("lib.loud")

-- Why a clip is left alone. A clip without audio is nothing to worry about.
local function skip(clip, why)
  panotti.log.info("no highlights: " .. why, { clip = clip.id })
end

panotti.on.on_clip_captured(function(clip)
  local config = panotti.config
  -- The file itself says how long it is; what the client said may be wrong.
  local probe, failure = panotti.media.probe(clip.file_path)
  if not probe then
    return skip(clip, failure.message)
  elseif probe.duration > config.max_seconds then
    return skip(clip, "the clip is longer than max_seconds")
  end

  -- The server decodes and measures; the script only looks at the curve.
  local window = loud.window(probe.duration, config.min_duration)
  local levels, unread = panotti.media.envelope(clip.file_path, window)
  if not levels then
    return skip(clip, unread.message)
  end

  local highlights = loud.find(levels, {
    window = window,
    duration = probe.duration,
    margin = loud.margin(config.sensitivity),
    min_duration = config.min_duration,
  })
  return {
    metadata = {
      highlights = panotti.json.array(highlights), -- an array even when it is empty
      highlight_count = #highlights,
      analyzed_by = panotti.plugin.name,
    },
  }
end)
