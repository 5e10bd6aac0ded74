/**
 * Measures how many balance changes a second the PostgreSQL writer makes durable, beside statements that are
 * sent one by one, in one run and on one throwaway cluster: `bun bench/postgres.ts`.
 *
 * The cluster has PostgreSQL's default settings (fsync and synchronous_commit on), and shares the cores with its
 * clients; one connection each. What can be compared are the ratios. Where one is below what is claimed, it exits
 * with 1.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { v7 as newId } from "uuid";
import type { SqlConnection } from "../src/ports/sql-connection.ts";
import { type BalanceChange, TOPICS } from "../src/postgres/balance-changes.ts";
import { connectTo } from "../src/runtime/bun-postgres.ts";
import { BalanceDatabase } from "../tools/harness/balance-database.ts";
import { crashPostgresServers, PostgresServer } from "../tools/harness/postgres.ts";
import { endTestProcesses, ROOT } from "../tools/harness/processes.ts";
import insertLog from "./sql/insert-log.sql" with { type: "text" };
import oneStatement from "./sql/one-statement.sql" with { type: "text" };
import updateBalance from "./sql/update-balance.sql" with { type: "text" };

const SECONDS = Number(process.env.SECONDS ?? 2);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
/** How many accounts are changed: few, which every batch meets, or many. */
const KEYS = { hot: 100, spread: 10_000 } as const;
const CLAIMS = [
  { batch: 200, fourRoundTrips: 15, oneStatement: 7 },
  { batch: 5_000, fourRoundTrips: 60, oneStatement: 25 },
] as const;
const FUNDS = 1_000_000_000n;
const FUNDING_BATCH = 5_000;
const MAX_DELTA = 100;
/** A load (of the last minute) at which something else must have been running. */
const BUSY_LOAD = 1;

let offset = 0;

function someChange(accounts: number, account = Math.floor(Math.random() * accounts)): BalanceChange {
  offset++;
  const amount = BigInt(1 + Math.floor(Math.random() * MAX_DELTA));
  return {
    offset,
    eventId: newId(),
    account: `account-${account}`,
    currency: "USD",
    availableDelta: offset % 2 === 0 ? amount : -amount,
    frozenDelta: 0n,
    atMs: Date.now(),
  };
}

/** Gives `work` some changes, over and over, for a while; returns how many it has made durable a second. */
async function rate(
  accounts: number,
  count: number,
  work: (changes: readonly BalanceChange[]) => Promise<unknown>,
): Promise<number> {
  let done = 0;
  let elapsedMs = 0;
  while (elapsedMs < SECONDS * 1_000) {
    const changes = Array.from({ length: count }, () => someChange(accounts));
    const start = performance.now();
    await work(changes);
    elapsedMs += performance.now() - start;
    done += count;
  }
  return done / (elapsedMs / 1_000);
}

/** A batch as the writer commits it: with its fence, in one message with COMMIT. */
async function writeBatch(database: BalanceDatabase, changes: readonly BalanceChange[]): Promise<void> {
  const { connection, tenure } = database;
  const from = committed.get(database) ?? 0;
  await connection.run("BEGIN");
  const { applied } = await database.writeOpen(changes);
  await connection.run(
    `SELECT move_commit_offset('${tenure.topic}', 0, 0, ${from}, ${offset}, '00000000', NULL); COMMIT`,
  );
  committed.set(database, offset);
  if (applied !== changes.length) throw new Error(`${changes.length - applied} changes were refused`);
}

const committed = new Map<BalanceDatabase, number>();

function values({ availableDelta, frozenDelta, atMs, account, currency, ...named }: BalanceChange) {
  return [availableDelta, frozenDelta, atMs, account, currency, named.offset, named.eventId];
}

async function fourRoundTrips(connection: SqlConnection, change: BalanceChange): Promise<void> {
  await connection.run("BEGIN");
  await connection.query(updateBalance, values(change).slice(0, 5));
  await connection.query(insertLog, values(change));
  await connection.run("COMMIT");
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Changes a second of each round, by what was measured. */
class Rates {
  readonly #rates = new Map<string, number[]>();

  add(work: string, rate: number): void {
    this.#rates.set(work, [...(this.#rates.get(work) ?? []), rate]);
  }

  median(work: string): number {
    return median(this.#rates.get(work) ?? []);
  }

  /** The median of the rounds' ratios: what else runs on the machine changes from round to round. */
  ratio(work: string, base: string): number {
    const bases = this.#rates.get(base) ?? [];
    return median((this.#rates.get(work) ?? []).map((rate, round) => rate / (bases[round] ?? rate)));
  }
}

async function measure(server: PostgresServer, accounts: number): Promise<Rates> {
  const [ledger, changes] = [
    await BalanceDatabase.create("ledger", { server }),
    await BalanceDatabase.create("changes", { server }),
  ];
  for (const database of [ledger, changes])
    for (let first = 0; first < accounts; first += FUNDING_BATCH) {
      const count = Math.min(FUNDING_BATCH, accounts - first);
      const funds = Array.from({ length: count }, (_, index) => someChange(accounts, first + index));
      await writeBatch(
        database,
        funds.map((change) => ({ ...change, availableDelta: FUNDS })),
      );
    }
  const single = await connectTo(changes.url)({ applicationName: "bench", timeoutMs: 0 });
  const rates = new Rates();
  for (let round = 0; round < ROUNDS; round++) {
    rates.add("four", await rate(accounts, 1, ([one]) => fourRoundTrips(single, one as BalanceChange)));
    rates.add(
      "one",
      await rate(accounts, 1, ([one]) => single.query(oneStatement, values(one as BalanceChange))),
    );
    for (const { batch } of CLAIMS)
      for (const database of [ledger, changes])
        rates.add(
          `${database.tenure.topic} ${batch}`,
          await rate(accounts, batch, (some) => writeBatch(database, some)),
        );
  }
  return rates;
}

/** Prints what was measured; returns whether it is what is claimed. */
function print(keys: string, accounts: number, rates: Rates): boolean {
  const line = (work: string, rate: number, ratios = "") =>
    console.log(`${work.padEnd(44)}${Math.round(rate).toLocaleString("en").padStart(9)}${ratios}`);
  console.log(
    `\n${`${keys} keys: ${accounts.toLocaleString("en")} accounts`.padEnd(44)}changes a second, and ratios`,
  );
  line("BEGIN, UPDATE, INSERT, COMMIT", rates.median("four"));
  line("one prepared statement a change", rates.median("one"));
  let held = true;
  for (const { batch, fourRoundTrips, oneStatement } of CLAIMS)
    for (const topic of TOPICS) {
      const work = `${topic} ${batch}`;
      const [four, one] = [rates.ratio(work, "four"), rates.ratio(work, "one")];
      const claimed = four >= fourRoundTrips && one >= oneStatement;
      held &&= claimed;
      const ratios = `${four.toFixed(1)} × (${fourRoundTrips}), ${one.toFixed(1)} × (${oneStatement})`;
      line(
        `topic ${topic}, batches of ${batch}`,
        rates.median(work),
        `   ${ratios}${claimed ? "" : "   below the claim"}`,
      );
    }
  return held;
}

async function main(): Promise<boolean> {
  const [busy = 0] = loadavg();
  const cpu = cpus();
  console.log(
    `${cpu[0]?.model ?? "unknown CPU"}, ${cpu.length} cores, kernel ${release()}, Bun ${Bun.version}`,
  );
  console.log(
    `medians of ${ROUNDS} rounds of ${SECONDS} s each, in turn; beside a ratio stands what is claimed`,
  );
  if (busy > BUSY_LOAD)
    console.log(`the machine was busy before: a load of ${busy.toFixed(1)}; the rates are too low`);
  const server = await PostgresServer.start(folder);
  let held = true;
  for (const [keys, accounts] of Object.entries(KEYS))
    held = print(keys, accounts, await measure(server, accounts)) && held;
  return held;
}

// Not where temporary files usually are: that may be in memory, where a sync costs nothing.
const folder = mkdtempSync(join(ROOT, "build", "bench-"));
const clean = async () => {
  await crashPostgresServers();
  await endTestProcesses();
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    void clean().finally(() => process.exit(1));
  });
try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  await clean();
}
