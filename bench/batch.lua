-- BATCH transfers a request, each under an id that was never used: IDS (24 characters, new for each run), the
-- number of the batch (8 hex digits) and the place in it (4). The committed ones are counted in the answers.

dofile(os.getenv("BENCH") .. "/report.lua")

local BATCH = tonumber(os.getenv("BATCH"))
local FORMS = 16
local PLACE = "########"
local forms = {}
local count = 0
committed = 0

function init()
  for form = 1, FORMS do
    local transfers = {}
    for place = 1, BATCH do
      transfers[place] = '{"transaction_id":"' .. os.getenv("IDS") .. PLACE .. string.format("%04x", place) .. fields()
    end
    local body = '{"transfers":[' .. table.concat(transfers, ",") .. "]}"
    forms[form] = head("/v1/wallet/transfers", #body) .. body
  end
end

function request()
  count = count + 1
  return (string.gsub(forms[count % FORMS + 1], PLACE, string.format("%08x", count)))
end

function response(status, _, body)
  if status == 200 then committed = committed + tonumber(string.match(body, '"committed":(%d+)')) end
end
