-- The process stays named: the next leader makes sure that it has ended.
UPDATE partition_leader_locks SET expires_at = '-infinity'
  WHERE topic = $1 AND partition = $2 AND fencing_token = $3
