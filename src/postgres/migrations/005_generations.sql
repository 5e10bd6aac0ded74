-- Differs after each rebuild: a writer that has halted goes on when it has changed.
ALTER TABLE partition_leader_locks ADD COLUMN generation uuid NOT NULL DEFAULT gen_random_uuid();
