panotti.on.before_recording_start(function(recording)
  if recording.title == "boom" then
    error("kaboom")
  end
  if recording.title == "log" then
    panotti.log.warn("something is odd", { recording = recording.id })
    return { title = "logged" }
  end
end)
