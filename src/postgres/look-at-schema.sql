SELECT current_setting('server_encoding') AS encoding, to_regclass('applied_migrations') IS NOT NULL AS migrated
