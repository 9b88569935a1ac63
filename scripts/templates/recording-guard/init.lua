-- Refuses recordings that nobody wants, before anything is stored.

-- Asked before a recording starts. `panotti.deny` refuses it, and the client is told why.
panotti.on.before_recording_start(function(recording)
  local title = string.lower(recording.title or recording.metadata.eventTitle or "")
  for _, word in ipairs(panotti.config.refused_words) do
    if string.find(title, string.lower(word), 1, true) then
      return panotti.deny("recordings about '" .. word .. "' are not wanted here")
    end
  end
  -- Nothing returned: nothing changes.
end, {
  -- Others should not work on what is refused anyway: higher runs earlier.
  priority = 100,
  -- When this hook fails: "allow" records, "deny" refuses.
  on_error = "allow",
})
