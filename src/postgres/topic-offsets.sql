SELECT topic, commit_offset FROM topic_commit_offsets ORDER BY topic DESC
