INSERT INTO applied_migrations (number) VALUES ($1)
