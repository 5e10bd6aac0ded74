-- BATCH transfers a request, each under an id that was never used: IDS (24 characters, new for each run), the
-- number of the batch (8 hex digits) and the place in it (4). The committed ones are counted in the answers.
--
-- A request of 8,000 has 1.1 MB: it stays in a buffer, and only the digits of its number are written anew.

local ffi = require("ffi")

dofile(os.getenv("BENCH") .. "/report.lua")

local BATCH = tonumber(os.getenv("BATCH"))
local FORMS = 16
local DIGITS = 8
local forms = {}
local count = 0
committed = 0

function init()
  local before = '{"transaction_id":"' .. os.getenv("IDS")
  for form = 1, FORMS do
    local transfers, places = {}, ffi.new("uint32_t[?]", BATCH)
    local length = #'{"transfers":['
    for place = 1, BATCH do
      local behind = string.format("%04x", place) .. fields(place)
      transfers[place] = before .. string.rep("0", DIGITS) .. behind
      places[place - 1] = length + #before
      length = length + #transfers[place] + 1
    end
    local body = '{"transfers":[' .. table.concat(transfers, ",") .. "]}"
    local first = head("/v1/wallet/transfers", #body)
    for place = 0, BATCH - 1 do places[place] = places[place] + #first end
    local text = first .. body
    local bytes = ffi.new("char[?]", #text)
    ffi.copy(bytes, text, #text)
    forms[form] = { bytes = bytes, length = #text, places = places }
  end
end

function request()
  count = count + 1
  local form = forms[count % FORMS + 1]
  local bytes, places, digits = form.bytes, form.places, string.format("%08x", count)
  for place = 0, BATCH - 1 do ffi.copy(bytes + places[place], digits, DIGITS) end
  return ffi.string(bytes, form.length)
end

function response(status, _, body)
  if status == 200 then committed = committed + tonumber(string.match(body, '"committed":(%d+)')) end
end
