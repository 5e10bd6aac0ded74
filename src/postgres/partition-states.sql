SELECT topic, partition, fencing_token, commit_offset, crc, ledger_id,
       CASE WHEN expires_at > clock_timestamp() THEN leader_svc_id END AS leader
  FROM partition_leader_locks
  ORDER BY topic DESC, partition
