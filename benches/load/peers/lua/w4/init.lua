local function note(what, id)
  db_event(what, '{"plugin":"bench","recording_id":"' .. id .. '"}')
end
on("before_recording_start", function(id) note("before_recording_start", id) end)
on("after_recording_end", function(id) note("after_recording_end", id) end)
