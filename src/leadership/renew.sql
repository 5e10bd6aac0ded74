SELECT renew_leader_lock($1, $2, $3, $4) AS held
