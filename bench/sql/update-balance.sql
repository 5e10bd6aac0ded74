UPDATE account_balances
SET available = available + $1, frozen = frozen + $2, updated_msec = $3
WHERE topic = 'changes' AND account_id = $4 AND currency_code = $5
  AND available + $1 >= 0 AND frozen + $2 >= 0
