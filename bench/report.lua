-- What the scripts share: one line of JSON at the end of a run, for run.ts. Times are in microseconds.

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
    '\nRESULT {"requests":%d,"committed":%d,"duration":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, committed, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end

-- The head of a POST whose body has `length` bytes.
function head(path, length)
  return "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\r\nContent-Type: application/json\r\nContent-Length: " .. length .. "\r\n\r\n"
end

-- The fields of a transfer between two different accounts of the first ACCOUNTS, behind its id.
function fields()
  local accounts = tonumber(os.getenv("ACCOUNTS"))
  local from = math.random(0, accounts - 1)
  local to = (from + math.random(1, accounts - 1)) % accounts
  return '","from_account":"a' .. from .. '","to_account":"a' .. to .. '","amount":' .. math.random(1, 100) .. "}"
end
