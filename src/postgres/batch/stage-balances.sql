COPY staged_balances (
  account_id, currency_code, available_net, available_from, available_to, frozen_net, frozen_from, frozen_to,
  updated_msec
) FROM STDIN
