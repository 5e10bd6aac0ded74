-- What the scripts share: one line of JSON at the end of a run, for load.ts. Times are in microseconds.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  assert(#threads == 1, "the ids are unique within one thread only: use wrk -t1")
end

function done(summary, latency)
  local errors = summary.errors
  -- A script that reads the answers itself counts in `committed`; for the others an answer of 200 is one transfer.
  local committed = threads[1]:get("committed") or (summary.requests - errors.status)
  io.write(string.format(
    '\nRESULT {"requests":%d,"committed":%d,"duration":%d,"p50":%d,"p99":%d,"p999":%d,"refused":%d,"broken":%d}\n',
    summary.requests, committed, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end

-- The header of the key that every request brings.
function authorization()
  return "\r\nAuthorization: Bearer " .. os.getenv("KEY")
end

-- DELAY_MS: a connection rests for so long between an answer and its next request, on average.
local rest = tonumber(os.getenv("DELAY_MS") or "0")
if rest > 0 then
  function delay() return math.floor(2 * rest * math.random()) end
end

-- The head of a POST whose body has `length` bytes.
function head(path, length)
  return "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\r\nContent-Type: application/json\r\nContent-Length: " .. length .. authorization() .. "\r\n\r\n"
end

-- The fields of a transfer, behind its id: between two different accounts of the first ACCOUNTS; where HOT is
-- set, a0 is one of them, as payer and as receiver by turns.
function fields(turn)
  local accounts = tonumber(os.getenv("ACCOUNTS"))
  local hot = os.getenv("HOT") == "1"
  local from = hot and 0 or math.random(0, accounts - 1)
  local to = (from + math.random(1, accounts - 1)) % accounts
  if hot and turn % 2 == 0 then from, to = to, from end
  return '","from_account":"a' .. from .. '","to_account":"a' .. to .. '","amount":' .. math.random(1, 100) .. "}"
end
