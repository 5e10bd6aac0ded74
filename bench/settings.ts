/** How long each part of a run takes, how much it does, and the targets that it is held against. */

/** Accounts that transfers go between, and what each is given at first: none ever runs dry. */
export const ACCOUNTS = 10_000;
export const FUNDS = 1_000_000_000;
export const FUNDING_BATCH = 5_000;

/** Works that are compared run once a round, in turn; what is told is the median of the rounds. */
export const ROUNDS = 5;
/** A start or a replay that is slow is not measured again after so long. */
export const MAX_ROUNDS_MS = 20_000;
export const WARM_UP_SECONDS = 2;
export const SINGLE_SECONDS = 3;
export const BATCH_SECONDS = 3;
export const READ_SECONDS = 2;

export const SINGLE_CONNECTIONS = [64, 256] as const;
/** Callers of the coalescing client, beside as many plain connections. */
export const CLIENT_CALLERS = 256;
export const BATCH_SIZES = [100, 1_000, 8_000] as const;
export const BATCH_CONNECTIONS = 8;
export const READ_CONNECTIONS = 16;
/** The batches that balances are read beside, and that are measured again when the ledger has grown. */
export const USUAL_BATCH = 1_000;

/** Between these the ledger grows; the rounds at either end take a second a work, so as not to grow it much. */
export const FIRST_TRANSFERS = 1_000_000;
export const LAST_TRANSFERS = 10_000_000;
export const GROWTH_SECONDS = 1;
export const START_TRANSFERS = 5_000_000;
export const FILLING_BATCH = 8_000;
export const FILLING_SECONDS = 2;

/** A snapshot is whole when its file has not changed for so long. */
export const SNAPSHOT_QUIET_MS = 3_000;
export const SNAPSHOT_WAIT_MS = 30_000;

/** What `make overload` does and claims. */
export const OVERLOAD = {
  /** Of what is carried; offered so much, it is an overload although nobody is refused. */
  times: 5,
  seconds: 30,
  warmUpSeconds: 3,
  carriedSeconds: 8,
  /** Afterwards the speed is that of the best of so many rounds. */
  rounds: 3,
  speedSeconds: 3,
  restSeconds: 2,
  /**
   * Connections that are carried, and that are too many: as many as a node has without closing any behind an answer.
   * On 2 cores the gateway reads single transfers no faster than they are decided: they wait unread, not in its room.
   */
  single: { connections: 400, offered: 7_600, probesASecond: 200, mustOverload: false },
  /** More than may wait: 400,000 transfers, where 262,144 do at most. */
  batch: { connections: 50, offered: 400, probesASecond: 20, mustOverload: true },
  acceptedMs: 1_000,
  refusedMs: 500,
  /** Of the speed of a node that was just started on the same ledger: what is compared is no growth. */
  speedAfter: 0.9,
} as const;

/** The largest ledger of a run with its queue; each is removed before the next. */
export const NEEDED_BYTES = 10 * 2 ** 30;
/** A load (of the last minute) at which something else must have been running. */
export const BUSY_LOAD = 1;

/** Rates are parts of the reference's where nothing else is said. */
export const TARGETS = {
  single: { 64: 0.6, 256: 0.85 },
  /** At 256 connections: the 99th percentile, in those of the route that does nothing. */
  singleP99: 3,
  batch: { 100: 0.25, 1000: 0.4, 8000: 0.5 },
  /** Of batches of 8,000: the 99th percentile, in medians. */
  batchP99: 4,
  /** Of 256 plain connections. */
  client: 2.5,
  /** Of transfers between all accounts. */
  hot: 0.9,
  /** Of the first million. */
  grown: 0.85,
  readP99Ms: 20,
  /** Of counting the log's lines one by one. */
  replay: 0.6,
  /** Events a second. */
  replayMillions: 1.5,
  startSeconds: 1,
} as const;
