on("before_request", function(request) if request.headers["x-bench"] then sleep(1) end end)
