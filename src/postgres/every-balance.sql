DECLARE every_balance NO SCROLL CURSOR FOR
  SELECT account_id, currency_code, available, frozen FROM account_balances WHERE topic = 'ledger'
