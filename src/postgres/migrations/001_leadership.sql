-- Who may write, and up to where has been written, per topic and partition.

CREATE TABLE postgres_settings (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- An account's changes are written in partition CRC-32(account_id) mod partitions: never to be changed.
  partitions integer NOT NULL CHECK (partitions >= 1)
);

CREATE TABLE partition_leader_locks (
  topic         text        NOT NULL CHECK (topic IN ('ledger', 'changes')),
  partition     integer     NOT NULL CHECK (partition >= 0),
  leader_svc_id text,
  -- Grows with each tenure: what an earlier leader still sends is told by its token.
  fencing_token bigint      NOT NULL DEFAULT 0,
  -- ledger: the seq of the last event that is written; changes: the number of the last message.
  commit_offset bigint      NOT NULL DEFAULT 0,
  ledger_id     uuid,
  -- ledger: the log's crc at commit_offset; changes: the CRC-32 of that message.
  crc           text        NOT NULL DEFAULT '00000000' CHECK (crc ~ '^[0-9a-f]{8}$'),
  -- The leader's server process, which its heir ends.
  backend_pid   integer,
  expires_at    timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (topic, partition)
);

-- Up to here SQL is consistent across the partitions of a topic.
CREATE VIEW topic_commit_offsets AS
  SELECT topic, min(commit_offset) AS commit_offset, count(*) AS partitions
  FROM partition_leader_locks
  GROUP BY topic;

-- Ends the process of a partition's writer: it may hold row locks. The name tells a process that has got its
-- number since. That of a mightier user stays, until its own timeouts end what it does.
CREATE FUNCTION end_writer(of_topic text, of_partition integer, writer_pid integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = writer_pid AND application_name = format('coffer writer %s/%s', of_topic, of_partition);
EXCEPTION WHEN insufficient_privilege THEN
  NULL;
END
$$;

-- Takes the lock where its lease has run out, under a new token; no row where it has not.
-- Leases are judged by the server's clock alone.
CREATE FUNCTION take_leader_lock(
  wanted_topic text, wanted_partition integer, svc_id text, writer_pid integer, lease_ms integer
) RETURNS SETOF partition_leader_locks LANGUAGE plpgsql AS $$
DECLARE
  lock partition_leader_locks;
BEGIN
  SELECT * INTO lock FROM partition_leader_locks
    WHERE topic = wanted_topic AND partition = wanted_partition;
  IF NOT FOUND OR lock.expires_at > clock_timestamp() THEN
    RETURN;
  END IF;
  -- The deposed leader may hold this very row.
  IF lock.backend_pid <> writer_pid THEN
    PERFORM end_writer(wanted_topic, wanted_partition, lock.backend_pid);
  END IF;
  SELECT * INTO lock FROM partition_leader_locks
    WHERE topic = wanted_topic AND partition = wanted_partition FOR UPDATE;
  IF lock.expires_at > clock_timestamp() THEN
    RETURN;
  END IF;
  RETURN QUERY UPDATE partition_leader_locks
    SET fencing_token = fencing_token + 1, leader_svc_id = svc_id, backend_pid = writer_pid,
        expires_at = clock_timestamp() + lease_ms * interval '1 millisecond'
    WHERE topic = wanted_topic AND partition = wanted_partition
    RETURNING *;
END
$$;

-- The fence: last in a transaction that writes, and sent in one message with its COMMIT, which an error
-- here keeps from being executed. As an UPDATE it waits for whoever holds the row and then judges the row
-- as that one left it; a subquery on the token would judge the row as it was before the wait.
CREATE FUNCTION move_commit_offset(
  wanted_topic text, wanted_partition integer, my_token bigint,
  from_offset bigint, to_offset bigint, to_crc text, to_ledger_id uuid
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE partition_leader_locks
    SET commit_offset = to_offset, crc = to_crc, ledger_id = to_ledger_id
    WHERE topic = wanted_topic AND partition = wanted_partition
      AND fencing_token = my_token AND commit_offset = from_offset;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenure % of %/% is over', my_token, wanted_topic, wanted_partition
      USING ERRCODE = 'CF001';
  END IF;
END
$$;
