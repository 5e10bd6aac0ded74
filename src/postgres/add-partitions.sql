INSERT INTO partition_leader_locks (topic, partition)
  SELECT topic, partition FROM unnest($1::text[]) AS topic, generate_series(0, $2 - 1) AS partition
  ON CONFLICT DO NOTHING
