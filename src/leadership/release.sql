SELECT release_leader_lock($1, $2, $3)
