local n = 0
local last
on("before_request", function(request)
  last = request.method .. " " .. request.path .. " " .. (request.headers["x-bench"] or "-")
  n = n + 1
end)
on("after_request", function(response)
  response.headers["x-hook"] = tostring(n)
end)
