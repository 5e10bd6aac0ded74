COPY applied_events (event_id, content_hash, shard_id, change_offset) FROM STDIN
