COPY staged_balances (
  account_id, currency_code, available_net, available_low, available_high, frozen_net, frozen_low, frozen_high,
  updated_msec
) FROM STDIN
