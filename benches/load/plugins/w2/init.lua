local n = 0
local last: string?
panotti.on.before_request(function(request)
  last = request.method .. " " .. request.path .. " " .. (request.headers["x-bench"] or "-")
  n += 1
end)
panotti.on.after_request(function(response)
  return { headers = { ["x-hook"] = tostring(n) } }
end)
