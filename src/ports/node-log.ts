/** The node's log: lines of JSON, each with a stable code beside its sentence. */

/**
 * The `event` of each line. Alerts and tests rely on these codes, so a code never changes its meaning; the
 * sentences may change.
 */
export const NODE_EVENTS = [
  // start and stop
  "started",
  "log_recovered",
  "draining",
  "stopping",
  "stopped",
  "stop_forced",
  "node_failed",
  "setting_removed",
  // access
  "no_keys",
  "keys_in_clear_text",
  "keys_changed",
  "keys_file_broken",
  "keys_file_missing",
  "certificate_renewed",
  "certificate_refused",
  "sighup_ignored",
  // requests
  "request_failed",
  "connections_full",
  "connections_available",
  // the disk and the log
  "disk_full",
  "disk_has_room",
  "mark_missing",
  "torn_end_cut",
  "log_file_lost",
  "mark_file_lost",
  "lock_file_lost",
  "snapshot_folder_failed",
  "snapshot_failed",
  "snapshot_skipped",
  "snapshots_unreadable",
  "seals_torn_end_cut",
  "seals_begun_late",
  "seals_held",
  "follower_halted",
  // the queue
  "nats_server_started",
  "nats_server_output",
  "nats_server_replaced",
  "nats_server_ended",
  "queue_open",
  "queue_away",
  "queue_stalled",
  "queue_answers",
  "stream_recreated",
  "stream_not_replicated",
  "gap_accepted",
  "frame_refused",
  "frame_unknown",
  "message_malformed",
  "purge_failed",
  "nodes_silent",
  // PostgreSQL
  "postgres_away",
  "postgres_refused",
  "postgres_waiting",
  "postgres_leading",
  "postgres_leadership_lost",
  "postgres_lock_not_released",
  "postgres_halted",
  "postgres_resumed",
  "changes_stream_recreated",
  "change_malformed",
] as const;
export type NodeEvent = (typeof NODE_EVENTS)[number];

/** What a line says for programs. */
export interface LogFacts {
  readonly event: NodeEvent;
  readonly [name: string]: unknown;
}

export interface NodeLog {
  info(facts: LogFacts, message: string): void;
  warn(facts: LogFacts, message: string): void;
  error(facts: LogFacts, message: string): void;
}

/** Writes a line to the node's log. */
export type Report = (level: keyof NodeLog, message: string, facts: LogFacts) => void;
