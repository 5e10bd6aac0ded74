INSERT INTO postgres_settings (partitions) VALUES ($1) ON CONFLICT DO NOTHING
