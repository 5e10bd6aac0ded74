CREATE TABLE IF NOT EXISTS applied_migrations (
  number     integer PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
)
