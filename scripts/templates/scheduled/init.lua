-- Does something at its times, without anybody asking.

-- Every so many seconds. The name is what the server remembers its times by: a reload or a restart changes nothing.
panotti.schedule.every(panotti.config.every_seconds, "count", function(run)
  local page = panotti.clips.list({ page_size = 1 })
  if page == nil then
    return
  end
  panotti.kv.set("clips", { total = page.total, at = panotti.time.format(run.scheduled_at) })
  panotti.log.info("counted the clips", { total = page.total, cause = run.cause })
end)

-- At a time of day: minute, hour, day of the month, month, day of the week. A night that was missed is made up for once.
panotti.schedule.cron("0 4 * * *", "night", function(run)
  local last = panotti.kv.get("clips")
  panotti.log.info("good night", { clips = last and last.total, missed = run.missed_count })
end, { missed = "once", tz = panotti.config.time_zone })
