TRUNCATE staged_balances;
