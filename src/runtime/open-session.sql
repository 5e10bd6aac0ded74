-- By a statement: poolers drop startup parameters. $1: the application's name; $2: ms, 0 for no limit.
SELECT pg_backend_pid() AS pid,
       set_config('application_name', $1, false) AS application_name,
       set_config('statement_timeout', $2, false) AS statement_timeout,
       set_config('idle_in_transaction_session_timeout', $2, false) AS idle_timeout,
       -- Who waits for a row goes on with the row as it is then; elsewhere it would fail.
       set_config('default_transaction_isolation', 'read committed', false) AS isolation,
       set_config('client_min_messages', 'warning', false) AS messages
