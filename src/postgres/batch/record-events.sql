-- Records the ids $1 with their contents' hashes $2 and offsets $3, of partition $4, one after the other;
-- returns those that are recorded already. One that another partition is just recording is waited for.
WITH incoming AS (
  SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS incoming (event_id, content_hash, change_offset)
),
recorded AS (
  INSERT INTO applied_events (event_id, content_hash, shard_id, change_offset)
  SELECT event_id, content_hash, $4, change_offset FROM incoming
  ON CONFLICT DO NOTHING
  RETURNING event_id
)
SELECT event_id FROM incoming
EXCEPT
SELECT event_id FROM recorded
