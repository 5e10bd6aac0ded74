-- Staging: of each key the change, and from which balance to which it fits, so that finding out takes no arithmetic.

CREATE OR REPLACE FUNCTION make_staging(wanted_topic text, wanted_partition integer, token bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  prefix text := format('staged_balances_%s_%s_', wanted_topic, wanted_partition);
  staging text := prefix || token;
  stale text;
BEGIN
  FOR stale IN
    SELECT relname FROM pg_class
      WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r'
        AND starts_with(relname, prefix) AND substr(relname, length(prefix) + 1)::bigint < token
  LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I', stale);
  END LOOP;
  -- Of bounded texts: without them the table would have a second one for long values, and be slow to empty.
  EXECUTE format($table$
    CREATE UNLOGGED TABLE IF NOT EXISTS %I (
      account_id     varchar(64) COLLATE "C" NOT NULL,
      currency_code  varchar(12) COLLATE "C" NOT NULL,
      available_net  numeric NOT NULL,
      available_from bigint NOT NULL,
      available_to   bigint NOT NULL,
      frozen_net     numeric NOT NULL,
      frozen_from    bigint NOT NULL,
      frozen_to      bigint NOT NULL,
      updated_msec   bigint NOT NULL
    ) WITH (autovacuum_enabled = false)
  $table$, staging);
  RETURN staging;
END
$$;

DROP FUNCTION lowest_balance;
