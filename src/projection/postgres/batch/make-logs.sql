SELECT make_balance_change_logs($1::bigint[])
