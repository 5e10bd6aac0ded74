SELECT * FROM take_leader_lock($1, $2, $3, $4, $5)
