SELECT FROM partition_leader_locks
WHERE topic = $1 AND partition = $2 AND fencing_token = $3 AND commit_offset = $4
