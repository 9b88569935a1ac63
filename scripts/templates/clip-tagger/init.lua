-- Tags clips by words in their title, and long ones as such.
-- Which words, and what is long, stands in plugin.yaml; read it where it is needed, because it can change.

local rules = require("lib.rules")

-- Asked while a clip is made, before it is stored. What is returned is a patch: name only what changes.
panotti.on.on_clip_captured(function(clip)
  local tags = rules.tags_of(clip, panotti.config)
  if #tags == 0 then
    return nil
  end
  panotti.log.debug("tagged", { clip = clip.id, tags = tags })
  -- A list replaces the one that was there, so those of the client come first.
  return { tags = rules.joined(clip.tags, tags) }
end)
