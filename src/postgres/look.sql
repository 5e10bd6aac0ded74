SELECT fencing_token, commit_offset, crc, ledger_id, generation, expires_at <= clock_timestamp() AS free,
       (SELECT max(commit_offset) FROM partition_leader_locks WHERE topic = $1) AS topic_offset
  FROM partition_leader_locks
  WHERE topic = $1 AND partition = $2
