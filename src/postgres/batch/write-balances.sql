-- Takes the staged rows, one a key, and writes them as topic $1 and partition $2: each as a whole, or not at all.
-- A key passes where every balance that one change at a time would have led through is allowed.
WITH staged AS (
  -- Joined by the topic too, not compared with $1: then the key is the only way to a balance, for any planner.
  DELETE FROM staged_balances RETURNING $1::text COLLATE "C" AS topic, staged_balances.*
),
try_update AS (
  UPDATE account_balances AS balance
  SET available = balance.available + staged.available_net,
      frozen = balance.frozen + staged.frozen_net,
      updated_msec = staged.updated_msec
  FROM staged
  WHERE balance.topic = staged.topic
    AND balance.account_id = staged.account_id
    AND balance.currency_code = staged.currency_code
    AND balance.available BETWEEN staged.available_from AND staged.available_to
    AND balance.frozen BETWEEN staged.frozen_from AND staged.frozen_to
  RETURNING balance.topic, balance.account_id, balance.currency_code
),
-- Keys that do not exist, or do not pass. Mostly there are none, which the counts tell sooner.
missing AS (
  SELECT * FROM staged
  WHERE (SELECT count(*) FROM try_update) < (SELECT count(*) FROM staged)
    AND (account_id, currency_code) NOT IN (SELECT account_id, currency_code FROM try_update)
),
try_insert AS (
  INSERT INTO account_balances (topic, account_id, shard_id, currency_code, available, frozen, updated_msec)
  SELECT topic, account_id, $2, currency_code, available_net, frozen_net, updated_msec
  FROM missing
  WHERE NOT EXISTS (
      SELECT FROM account_balances AS balance
      WHERE balance.topic = missing.topic
        AND balance.account_id = missing.account_id
        AND balance.currency_code = missing.currency_code
    )
    AND 0 BETWEEN available_from AND available_to
    AND 0 BETWEEN frozen_from AND frozen_to
  ON CONFLICT DO NOTHING
  RETURNING topic, account_id, currency_code
),
-- With the balances as they are, unchanged by this statement.
error_records AS (
  SELECT missing.account_id, missing.currency_code, balance.available, balance.frozen
  FROM missing
  LEFT JOIN account_balances AS balance
    ON balance.topic = missing.topic
    AND balance.account_id = missing.account_id
    AND balance.currency_code = missing.currency_code
  WHERE (missing.account_id, missing.currency_code) NOT IN (SELECT account_id, currency_code FROM try_insert)
),
validate AS (
  SELECT
    (SELECT count(*) FROM try_update) AS updated_rows,
    (SELECT count(*) FROM try_insert) AS inserted_rows,
    (SELECT count(*) FROM error_records) AS error_rows
)
SELECT validate.*, error_records.*
FROM validate
LEFT JOIN error_records ON true
