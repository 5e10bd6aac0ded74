-- Balances, every change that was asked for, and which events of others are known.

-- Topic ledger: what the log says. Topic changes: what other systems ask for, as the database judges it.
CREATE TABLE account_balances (
  topic         text COLLATE "C" NOT NULL CHECK (topic IN ('ledger', 'changes')),
  account_id    text COLLATE "C" NOT NULL,
  -- The partition that the account is written in: CRC-32(account_id) mod partitions.
  shard_id      integer NOT NULL CHECK (shard_id >= 0),
  currency_code text COLLATE "C" NOT NULL,
  -- In minor units.
  available     bigint NOT NULL,
  frozen        bigint NOT NULL,
  -- When the last change that was applied happened, ms since 1970.
  updated_msec  bigint NOT NULL,
  PRIMARY KEY (account_id, currency_code, topic),
  -- The ledger's own account alone may owe: deposits come from it.
  CHECK (account_id = '@world' OR (available >= 0 AND frozen >= 0))
);

-- How far down an account's balances may go; up they go to 2^63-1.
CREATE FUNCTION lowest_balance(account_id text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE account_id WHEN '@world' THEN -9223372036854775807 ELSE 0 END;

-- One row a change, by month of changed_msec (UTC): a month is pruned by dropping its table,
-- balance_change_logs_YYYY_MM. The writer makes the tables of months that it needs.
CREATE TABLE balance_change_logs (
  topic           text COLLATE "C" NOT NULL CHECK (topic IN ('ledger', 'changes')),
  shard_id        integer NOT NULL,
  -- ledger: the seq of the event; changes: the number of the message.
  change_offset   bigint NOT NULL,
  event_id        text COLLATE "C" NOT NULL,
  account_id      text COLLATE "C" NOT NULL,
  currency_code   text COLLATE "C" NOT NULL,
  available_delta bigint NOT NULL,
  frozen_delta    bigint NOT NULL,
  changed_msec    bigint NOT NULL,
  status          text COLLATE "C" NOT NULL CHECK (status IN ('APPLIED', 'REJECTED')),
  reject_reason   text COLLATE "C" CHECK (reject_reason IN (
    'WRONG_PARTITION', 'EVENT_ID_CONFLICT', 'INSUFFICIENT_BALANCE', 'INSUFFICIENT_FROZEN', 'OVERFLOW'
  )),
  CHECK ((status = 'REJECTED') = (reject_reason IS NOT NULL))
) PARTITION BY RANGE (changed_msec);


-- Topic changes: every id that was decided, so that none is decided twice.
CREATE TABLE applied_events (
  event_id      text COLLATE "C" PRIMARY KEY,
  -- SHA-256 of the change's content.
  content_hash  bytea NOT NULL,
  shard_id      integer NOT NULL,
  change_offset bigint NOT NULL
);

CREATE FUNCTION is_balance_change_log(name text) RETURNS boolean LANGUAGE sql STABLE
AS $$
  SELECT EXISTS (
    SELECT FROM pg_inherits
      WHERE inhparent = 'balance_change_logs'::regclass AND inhrelid = to_regclass(name)
  )
$$;

-- Makes the tables of the months that begin at these times (UTC, ms since 1970), where they are missing.
-- One that is being attached blocks neither who reads nor who writes.
CREATE FUNCTION make_balance_change_logs(month_starts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  month_start bigint;
  starts timestamp;
  month_table text;
BEGIN
  FOREACH month_start IN ARRAY month_starts LOOP
    starts := to_timestamp(month_start / 1000) AT TIME ZONE 'UTC';
    month_table := 'balance_change_logs_' || to_char(starts, 'YYYY_MM');
    CONTINUE WHEN is_balance_change_log(month_table);
    LOCK TABLE balance_change_logs IN SHARE UPDATE EXCLUSIVE MODE; -- as ATTACH takes it
    CONTINUE WHEN is_balance_change_log(month_table);
    IF to_regclass(month_table) IS NOT NULL THEN
      RAISE EXCEPTION 'the table % is not attached to balance_change_logs: rename it or drop it', month_table
        USING ERRCODE = 'CF002';
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE balance_change_logs INCLUDING ALL)', month_table);
    EXECUTE format(
      'ALTER TABLE balance_change_logs ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
      month_table, month_start,
      (extract(epoch FROM (starts + interval '1 month') AT TIME ZONE 'UTC') * 1000)::bigint
    );
  END LOOP;
END
$$;

-- Makes the staging table of a tenure, drops those of earlier tenures, and returns its name.
-- What a transaction writes into it, it takes out again, so that it may be lost in a crash.
CREATE FUNCTION make_staging(wanted_topic text, wanted_partition integer, token bigint)
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
      available_low  numeric NOT NULL,
      available_high numeric NOT NULL,
      frozen_net     numeric NOT NULL,
      frozen_low     numeric NOT NULL,
      frozen_high    numeric NOT NULL,
      updated_msec   bigint NOT NULL
    ) WITH (autovacuum_enabled = false)
  $table$, staging);
  RETURN staging;
END
$$;

-- Rows that were taken out still take room, and time to pass over. Not always, for it costs a new file.
CREATE FUNCTION shrink_staging(staging regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF pg_relation_size(staging) > 1024 * 1024 THEN
    EXECUTE format('TRUNCATE %s', staging);
  END IF;
END
$$;
