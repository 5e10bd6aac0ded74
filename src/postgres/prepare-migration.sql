-- A migration may take its time; one whose process is stopped may not keep the others from theirs.
SET lock_timeout = '5s';
SET idle_session_timeout = '10s';
SET idle_in_transaction_session_timeout = '10s';
