-- The rules themselves: plain functions of what they are given.

local rules = {}

-- The tags that a clip deserves.
function rules.tags_of(clip, config)
  local title, tags = string.lower(clip.title), {}
  for word, tag in pairs(config.words) do
    if string.find(title, string.lower(word), 1, true) then
      table.insert(tags, tag)
    end
  end
  if clip.duration and clip.duration >= config.long_seconds then
    table.insert(tags, "long")
  end
  table.sort(tags)
  return tags
end

-- The first list and what of the second is not in it.
function rules.joined(first, second)
  local all = table.clone(first)
  for _, tag in ipairs(second) do
    if not table.find(all, tag) then
      table.insert(all, tag)
    end
  end
  return all
end

return rules
