-- Empties topic ledger, so that it is written anew from the log.
BEGIN;
-- Whoever leads has lost its tenure, and nobody can take the lock before the end.
UPDATE partition_leader_locks
  SET fencing_token = fencing_token + 1, commit_offset = 0, crc = DEFAULT, ledger_id = NULL,
      generation = DEFAULT, expires_at = '-infinity'
  WHERE topic = 'ledger';
-- A leader within a transaction would wait for these rows, and keep those that are deleted next.
SELECT end_writer(topic, partition, backend_pid) FROM partition_leader_locks WHERE topic = 'ledger';
DELETE FROM account_balances WHERE topic = 'ledger';
DELETE FROM balance_change_logs WHERE topic = 'ledger';
COMMIT;
