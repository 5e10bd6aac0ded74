UPDATE partition_leader_locks SET expires_at = clock_timestamp() + $4::integer * interval '1 millisecond'
  WHERE topic = $1 AND partition = $2 AND fencing_token = $3
  RETURNING fencing_token
