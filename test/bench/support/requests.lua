-- wrk sends the requests of a file in turn, over and over: one a line, method, target and body separated by tabs.
local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
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
