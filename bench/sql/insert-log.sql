INSERT INTO balance_change_logs (
  topic, shard_id, change_offset, event_id, account_id, currency_code, available_delta, frozen_delta,
  changed_msec, status
)
VALUES ('changes', 0, $6, $7, $4, $5, $1, $2, $3, 'APPLIED')
