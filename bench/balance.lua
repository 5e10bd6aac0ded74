-- Balances of accounts of the first ACCOUNTS, in random order.

dofile(os.getenv("BENCH") .. "/report.lua")

local FORMS = 4096
local forms = {}
local count = 0

function init()
  for form = 1, FORMS do
    forms[form] = "GET /v1/wallet/balance/a" .. math.random(0, tonumber(os.getenv("ACCOUNTS")) - 1) ..
      " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. authorization() .. "\r\n\r\n"
  end
end

function request()
  count = count + 1
  return forms[count % FORMS + 1]
end
