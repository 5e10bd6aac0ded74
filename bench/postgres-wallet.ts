/**
 * Measures what the PostgreSQL writer costs the wallet: transfers at half of the wallet's peak, by turns
 * without the writer and with it, in one run, on the same cores: `bun bench/postgres-wallet.ts`.
 *
 * The rate may fall to 0.8 of that without the writer, and the 99th percentile rise to twice of it. The writer
 * may lag meanwhile; how far is printed. Latencies count from when a request was to be sent. Every round has a
 * new node and a new database, whose first moments do not count: what they take is compiling, not writing.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { SQL } from "bun";
import { CofferNode } from "../tools/harness/coffer.ts";
import { PostgresServer } from "../tools/harness/postgres.ts";
import { endTestProcesses, ROOT } from "../tools/harness/processes.ts";

const SECONDS = Number(process.env.SECONDS ?? 5);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const WARM_UP_SECONDS = 2;
const BATCH = 100;
const ACCOUNTS = 1_000;
const FUNDS = 1_000_000;
const AT_ONCE = 32;
/** Requests that may wait; beyond it the offered load is not kept up. */
const MAX_WAITING = 256;
const MIN_RATE = 0.8;
const MAX_P99 = 2;

interface Measured {
  readonly transfersPerSecond: number;
  readonly p99Ms: number;
  /** Events that the writer was behind at the end. */
  readonly lag: number;
}

const bodies = Array.from({ length: 256 }, () =>
  JSON.stringify({ transfers: Array.from({ length: BATCH }, someTransfer) }),
);

function someTransfer() {
  const from = Math.floor(Math.random() * ACCOUNTS);
  const to = (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS;
  return { from_account: `account-${from}`, to_account: `account-${to}`, amount: 1 };
}

/** Offers so many transfers a second; as many as go, where it is undefined. */
async function measure(
  folder: string,
  offered: number | undefined,
  server?: PostgresServer,
): Promise<Measured> {
  const url = await server?.createDatabase();
  const node = await CofferNode.start(mkdtempSync(join(folder, "node-")), {
    flags: url === undefined ? [] : ["--postgres-url", url],
  });
  for (let account = 0; account < ACCOUNTS; account++) await node.client.deposit(`account-${account}`, FUNDS);
  const latencies: number[] = [];
  let sent = 0;
  let waiting = 0;
  const send = async (dueMs: number) => {
    waiting++;
    const { status } = await node.client.post("/v1/wallet/transfers", bodies[sent++ % bodies.length]);
    waiting--;
    if (status !== 200) throw new Error(`a batch was answered with ${status}`);
    if (dueMs >= countedMs) latencies.push(performance.now() - dueMs);
  };
  const startMs = performance.now();
  const countedMs = startMs + WARM_UP_SECONDS * 1_000;
  const endMs = countedMs + SECONDS * 1_000;
  if (offered === undefined) {
    const sender = async () => {
      while (performance.now() < endMs) await send(performance.now());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
  } else {
    const intervalMs = (1_000 * BATCH) / offered;
    const under: Promise<void>[] = [];
    for (let now = startMs; now < endMs; now = performance.now()) {
      while (sent * intervalMs < now - startMs && waiting < MAX_WAITING)
        under.push(send(startMs + sent * intervalMs));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(under);
  }
  const seconds = (performance.now() - countedMs) / 1_000;
  const lag = url === undefined ? 0 : (await node.client.ledger()).seq - (await offsetOf(url));
  await node.stop();
  latencies.sort((a, b) => a - b);
  return {
    transfersPerSecond: (latencies.length * BATCH) / seconds,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    lag,
  };
}

async function offsetOf(url: string): Promise<number> {
  const sql = new SQL({ url, max: 1 });
  const [row] = await sql`SELECT commit_offset FROM topic_commit_offsets WHERE topic = 'ledger'`;
  await sql.close();
  return Number(row.commit_offset);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function main(folder: string): Promise<boolean> {
  const server = await PostgresServer.start(folder);
  const peak = (await measure(folder, undefined)).transfersPerSecond;
  console.log(`peak without the writer   ${Math.round(peak)} transfers/s in batches of ${BATCH}`);
  const without: Measured[] = [];
  const beside: Measured[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    without.push(await measure(folder, peak / 2));
    beside.push(await measure(folder, peak / 2, server));
  }
  for (const [name, measured] of [
    ["without", without],
    ["with", beside],
  ] as const) {
    const each = measured.map(({ p99Ms }) => p99Ms.toFixed(1)).join(" ");
    const transfersPerSecond = Math.round(median(measured.map((one) => one.transfersPerSecond)));
    const lag = Math.round(median(measured.map((one) => one.lag)));
    console.log(
      `${name.padEnd(26)}${transfersPerSecond} transfers/s, p99 of each round ${each} ms, lag ${lag} events`,
    );
  }
  // Of neighbours in time: what else the machine does meanwhile weighs on both.
  const of = (what: (measured: Measured) => number) =>
    median(beside.map((measured, round) => what(measured) / what(without[round] as Measured)));
  const rate = of(({ transfersPerSecond }) => transfersPerSecond);
  const p99 = of(({ p99Ms }) => p99Ms);
  console.log(
    `with / without            rate ${rate.toFixed(2)} (≥ ${MIN_RATE}), p99 ${p99.toFixed(2)} (≤ ${MAX_P99})`,
  );
  await server.stop();
  return rate >= MIN_RATE && p99 <= MAX_P99;
}

mkdirSync(join(ROOT, "build"), { recursive: true });
const folder = mkdtempSync(join(ROOT, "build", "bench-"));
try {
  process.exitCode = (await main(folder)) ? 0 : 1;
} finally {
  await endTestProcesses();
  rmSync(folder, { recursive: true, force: true });
}
