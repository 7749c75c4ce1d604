-- wrk sends the requests of its standard input in turn, over and over: one a line, method, target and body separated by
-- tabs. It has one thread: a second would find nothing left to read.
local requests, at = {}, 0

function init()
  for line in io.lines() do
    local method, target, body = line:match("^(%S+)\t(%S+)\t(.*)$")
    local has_body = body ~= ""
    local headers = has_body and { ["content-type"] = "application/json" } or {}
    headers["Host"] = wrk.headers["Host"]
    requests[#requests + 1] = wrk.format(method, target, headers, has_body and body or nil)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
