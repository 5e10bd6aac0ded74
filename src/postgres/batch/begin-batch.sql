SELECT shrink_staging($1), make_balance_change_logs($2::bigint[])
