WITH updated AS (
  UPDATE account_balances
  SET available = available + $1, frozen = frozen + $2, updated_msec = $3
  WHERE topic = 'changes' AND account_id = $4 AND currency_code = $5
    AND available + $1 >= 0 AND frozen + $2 >= 0
  RETURNING account_id, currency_code
)
INSERT INTO balance_change_logs (
  topic, shard_id, change_offset, event_id, account_id, currency_code, available_delta, frozen_delta,
  changed_msec, status
)
SELECT 'changes', 0, $6, $7, account_id, currency_code, $1, $2, $3, 'APPLIED' FROM updated
