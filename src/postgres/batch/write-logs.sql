COPY balance_change_logs (
  topic, shard_id, change_offset, event_id, account_id, currency_code, available_delta, frozen_delta,
  changed_msec, status, reject_reason
) FROM STDIN
