SELECT event_id, encode(content_hash, 'hex') AS content_hash
FROM applied_events
WHERE event_id = ANY ($1::text[])
