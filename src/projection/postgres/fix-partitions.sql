-- The number of partitions that was fixed first, be it by this statement.
WITH fixed AS (
  INSERT INTO postgres_settings (partitions) VALUES ($1) ON CONFLICT DO NOTHING RETURNING partitions
)
SELECT partitions FROM fixed
UNION ALL
SELECT partitions FROM postgres_settings
