-- One transfer a request, each under an id that was never used: IDS (24 characters, new for each run), and a count.

dofile(os.getenv("BENCH") .. "/report.lua")

local FORMS = 4096
local ID_LENGTH = 36
local before, behind = {}, {}
local count = 0

function init()
  for form = 1, FORMS do
    behind[form] = fields(form)
    before[form] = head("/v1/wallet/transfer", #'{"transaction_id":"' + ID_LENGTH + #behind[form]) ..
      '{"transaction_id":"' .. os.getenv("IDS")
  end
end

function request()
  count = count + 1
  local form = count % FORMS + 1
  return before[form] .. string.format("%012x", count) .. behind[form]
end
