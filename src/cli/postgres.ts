import type { Config } from "../config.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { DurableLogFeed } from "../eventlog/feed.ts";
import { LogMark } from "../eventlog/mark.ts";
import { readLog } from "../eventlog/reader.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import { everyCommand } from "../eventlog/transfer-commands.ts";
import type { AppendFile } from "../ports/append-file.ts";
import { EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { type SqlConnect, type SqlConnection, SqlError } from "../ports/sql-connection.ts";
import { compareBalances } from "../postgres/compare.ts";
import { PostgresLeaderLock } from "../postgres/leader-lock.ts";
import { LedgerSource } from "../postgres/ledger-source.ts";
import { migrateWith, SchemaRefused } from "../postgres/migrate.ts";
import { PostgresWriter } from "../postgres/postgres-writer.ts";
import { emptyLedger, partitionStates } from "../postgres/state.ts";
import { loadRuntime } from "../runtime/load.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { showProgress } from "./progress.ts";
import { readConfig, WrongSetting } from "./read-config.ts";

const SETTINGS = ["data", "postgresUrl", "postgresPartitions", "postgresLeaseMs"] as const;
const LOOK_INTERVAL_MS = 100;
/** The SQLSTATE of a table that is not there. */
const UNDEFINED_TABLE = "42P01";

type Settings = Config<(typeof SETTINGS)[number]>;

const ACTIONS: Readonly<Record<string, (connect: SqlConnect, settings: Settings) => Promise<number>>> = {
  migrate: async (connect, { postgresPartitions }) => {
    const applied = await migrateWith(connect, postgresPartitions);
    console.log(applied.length === 0 ? "nothing to migrate" : `applied ${applied.join(", ")}`);
    return 0;
  },
  status: (connect) => withConnection(connect, showStatus),
  rebuild,
  check,
};

export const postgres: CliCommand = {
  name: "postgres",
  usage: `${Object.keys(ACTIONS).join("|")}`,
  help: [
    "manages the balances in PostgreSQL: migrate updates the schema; status shows the leaders and their",
    "positions; rebuild refills topic ledger from the log; check compares its balances with the log",
  ].join("\n"),
  settings: SETTINGS,
  async run(args, env) {
    const [name, ...rest] = args;
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new WrongSetting("expected migrate, status, rebuild or check");
    const settings = readConfig(SETTINGS, rest, env);
    if (settings.postgresUrl === undefined)
      throw new WrongSetting("--postgres-url or --postgres-url-file is required");
    const runtime = await loadRuntime();
    if (!runtime.postgres)
      throw new CommandFailed(`this command requires Bun: ${runtime.name} has no PostgreSQL client`);
    try {
      return await action(runtime.postgres(settings.postgresUrl), settings);
    } catch (error) {
      if (!(error instanceof SqlError || error instanceof SchemaRefused)) throw error;
      if (error instanceof SqlError && error.state === UNDEFINED_TABLE)
        throw new CommandFailed(
          "the database has no Coffer tables: create them with coffer postgres migrate",
        );
      throw new CommandFailed(error.message);
    }
  },
};

async function showStatus(connection: SqlConnection): Promise<number> {
  const { partitions, topics } = await partitionStates(connection);
  for (const { topic, partition, leader, token, offset, crc } of partitions) {
    console.log(
      `${topic}/${partition}  offset ${offset}  crc ${crc}  token ${token}  ${leader ?? "no leader"}`,
    );
  }
  for (const { topic, offset } of topics) console.log(`${topic}: SQL is consistent up to offset ${offset}`);
  return 0;
}

/** Compares what is committed with this folder's log; 1 and the first difference where there is one. */
async function check(connect: SqlConnect, { data }: Settings): Promise<number> {
  const file = openLog(data);
  const progress = showProgress("comparing", file.size());
  try {
    const result = await withConnection(connect, (connection) =>
      compareBalances(connection, async (visit) => {
        // A torn end is nobody's: what was committed to the database was on disk before.
        await readLog(file, everyCommand(visit), progress.at);
      }),
    );
    progress.end();
    if ("difference" in result) {
      console.error(`coffer postgres check: ${result.difference}`);
      return 1;
    }
    const found = `${result.balances} balances as of seq ${result.offset}`;
    console.log(
      result.written ? `ok: ${found}` : "ok, but nothing of this ledger has been written to the database yet",
    );
    return 0;
  } finally {
    progress.end();
    file.close();
  }
}

/**
 * Empties topic ledger, and fills it anew from this folder's log, or watches a node that is faster do so.
 * Nothing is emptied before the log was read to its end, and found to be of the same ledger.
 */
async function rebuild(connect: SqlConnect, settings: Settings): Promise<number> {
  const file = openLog(settings.data);
  const feed = wholeLog(settings.data, file);
  const target = feed.durable.seq;
  const { postgresPartitions, postgresLeaseMs: leaseMs } = settings;
  await migrateWith(connect, postgresPartitions);
  const halted: string[] = [];
  const writer = new PostgresWriter(
    {
      connect,
      lock: (connection, topic, partition) => {
        const serviceId = "coffer postgres rebuild";
        return new PostgresLeaderLock(connection, systemClock, {
          topic,
          partition,
          serviceId,
          leaseMs,
        });
      },
      source: (topic, partition) =>
        topic === "ledger" ? new LedgerSource(feed, systemClock, partition, postgresPartitions) : undefined,
      clock: systemClock,
      report: (level, message, { reason }) => {
        if (level === "error") halted.push(String(reason));
        else if (level === "warn") console.error(`coffer postgres rebuild: ${message}: ${reason}`);
      },
    },
    settings,
  );
  const progress = showProgress("filling", target);
  try {
    return await withConnection(connect, async (connection) => {
      await refuseOtherLedger(connection, feed);
      await emptyLedger(connection);
      writer.start();
      for (;;) {
        const { topics } = await partitionStates(connection);
        const offset = topics.find(({ topic }) => topic === "ledger")?.offset ?? 0;
        progress.at(offset);
        if (offset >= target) break;
        if (halted[0] !== undefined) throw new CommandFailed(halted[0]);
        await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
      }
      progress.end();
      console.log(`rebuilt up to seq ${target}`);
      console.log("a halted node resumes automatically");
      return 0;
    });
  } finally {
    progress.end();
    await writer.stop();
    file.close();
  }
}

/** The log up to its mark: what is known to be on disk, whether or not a node writes it. */
function wholeLog(data: string, file: AppendFile): DurableLogFeed {
  const durable = LogMark.read(new DiskFolder(data, false));
  if (!durable) throw new CommandFailed(`${data} has no complete events.mark: start a node on it once`);
  if (durable.seq === 0) throw new CommandFailed(`the log in ${data} is empty`);
  const feed = new DurableLogFeed(file, () => durable);
  const follower = feed.follow(EMPTY_LOG);
  let end: LogPosition = EMPTY_LOG;
  try {
    for (let last = follower.next().at(-1); last; last = follower.next().at(-1)) end = last.end;
  } catch (error) {
    throw new CommandFailed(error instanceof Error ? error.message : String(error));
  }
  if (end.seq !== durable.seq || end.crc !== durable.crc)
    throw new CommandFailed(`events.log ends at seq ${end.seq}, but its mark is at ${durable.seq}`);
  return feed;
}

async function refuseOtherLedger(connection: SqlConnection, { durable }: DurableLogFeed): Promise<void> {
  const { partitions } = await partitionStates(connection);
  const other = partitions.find(({ ledgerId }) => ledgerId !== undefined && ledgerId !== durable.ledgerId);
  if (!other) return;
  throw new CommandFailed(
    `the database belongs to ledger ${other.ledgerId}, but this directory to ${durable.ledgerId}`,
  );
}

function openLog(data: string): AppendFile {
  const folder = new DiskFolder(data, false);
  const file = folder.open(LOG_NAME, false);
  if (!file) throw new CommandFailed(`${folder.path(LOG_NAME)} does not exist`);
  return file;
}

async function withConnection<T>(
  connect: SqlConnect,
  work: (connection: SqlConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect({ applicationName: "coffer postgres", timeoutMs: 0 });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
