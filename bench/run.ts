/**
 * Measures how many transfers the compiled executable makes durable a second, beside an Elysia route that
 * does nothing but validate, in one run: `bun bench/run.ts`.
 *
 * The load comes from wrk on the same cores, so the rates are those of a machine that is shared with its
 * callers; the ratio between the two is what can be compared. Single transfers are made by the coalescing
 * client too, with as many callers as wrk has connections. Only transfers that an answer says are
 * committed count, and in the end the ledger must hold all of them.
 */

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { CofferNode } from "../test/support/coffer.ts";
import { endTestProcesses, ROOT, TestProcess } from "../test/support/processes.ts";

const ACCOUNTS = 10_000;
const FUNDS = 1_000_000_000;
const FUNDING_BATCH = 5_000;
const ROUNDS = 3;
const SINGLE_SECONDS = 4;
const BATCH_SECONDS = 3;
const WARM_UP_SECONDS = 2;
const SINGLE_CONNECTIONS = [64, 256] as const;
/** Callers of the coalescing client, beside as many plain connections. */
const CLIENT_CALLERS = 256;
const BATCH_SIZES = [100, 1_000] as const;
const BATCH_CONNECTIONS = 8;
/** Log and queue of one run. */
const NEEDED_BYTES = 8 * 2 ** 30;
/** A load (of the last minute) at which something else must have been running. */
const BUSY_LOAD = 1;
/** The type that statfs gives to a file system in memory. */
const TMPFS = 0x01021994;

/** One run of wrk, or of client.ts. */
interface Result {
  readonly requests: number;
  readonly committed: number;
  /** In microseconds, as are the percentiles of the latency. */
  readonly duration: number;
  readonly p50: number;
  readonly p99: number;
  /** Answers that were not 200, and requests without an answer. */
  readonly refused: number;
  readonly broken: number;
}

interface Load {
  readonly script: "single" | "batch";
  readonly connections: number;
  readonly seconds: number;
  readonly batch?: number;
}

interface Row {
  readonly work: string;
  readonly connections: number;
  /** Transfers, or validated requests, a second. */
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly ratio?: { readonly value: number; readonly to: string };
}

const problems: string[] = [];

function wrk(url: string, { script, connections, seconds, batch = 1 }: Load): Promise<Result> {
  const child = new TestProcess(
    "wrk",
    [
      "-t1",
      `-c${connections}`,
      `-d${seconds}`,
      "--timeout",
      "10s",
      "--latency",
      "-s",
      join(ROOT, "bench", `${script}.lua`),
      url,
    ],
    { BENCH: join(ROOT, "bench"), IDS: newIds(), BATCH: String(batch), ACCOUNTS: String(ACCOUNTS) },
  );
  return resultOf(child, `${script}, ${connections} connections`);
}

/** Single transfers by so many callers of one coalescing client, in a process of its own. */
function client(url: string, callers: number, seconds: number): Promise<Result> {
  const child = new TestProcess(
    process.execPath,
    [join(ROOT, "bench", "client.ts"), url, String(callers), String(seconds)],
    { ACCOUNTS: String(ACCOUNTS) },
  );
  return resultOf(child, `client, ${callers} callers`);
}

async function resultOf(child: TestProcess, work: string): Promise<Result> {
  const [, json] = await child.line(/^RESULT (.*)$/);
  await child.exited;
  const result = JSON.parse(json as string) as Result;
  if (result.refused + result.broken > 0)
    problems.push(
      `${work}: ${result.refused} answers were no commitment, ${result.broken} requests had none`,
    );
  return result;
}

/** The first 24 characters of UUIDs that no other run has. */
function newIds(): string {
  const hex = randomBytes(9).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(12, 15)}-8${hex.slice(15, 18)}-`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function rateOf({ committed, duration }: Result): number {
  return committed / (duration / 1e6);
}

function row(work: string, connections: number, results: readonly Result[]): Row {
  return {
    work,
    connections,
    rate: median(results.map(rateOf)),
    p50: median(results.map(({ p50 }) => p50)),
    p99: median(results.map(({ p99 }) => p99)),
  };
}

async function fund(node: CofferNode): Promise<void> {
  await node.client.open("bank", ACCOUNTS * FUNDS);
  for (let first = 0; first < ACCOUNTS; first += FUNDING_BATCH) {
    const { body } = await node.client.transfers(
      Array.from({ length: FUNDING_BATCH }, (_, index) => ({
        from_account: "bank",
        to_account: `a${first + index}`,
        amount: FUNDS,
      })),
    );
    if (body.committed !== FUNDING_BATCH) throw new Error(`funding failed: ${JSON.stringify(body)}`);
  }
}

async function measure(reference: string, node: CofferNode): Promise<Row[]> {
  const rows: Row[] = [];
  const results: Result[] = [];
  const noted = async (run: Promise<Result>) => {
    const result = await run;
    results.push(result);
    return result;
  };
  const before = await node.client.ledger();
  for (const url of [reference, node.url]) {
    const warm = await wrk(url, {
      script: "single",
      connections: SINGLE_CONNECTIONS[0],
      seconds: WARM_UP_SECONDS,
    });
    if (url === node.url) results.push(warm);
  }
  for (const connections of SINGLE_CONNECTIONS) {
    const load: Load = { script: "single", connections, seconds: SINGLE_SECONDS };
    const nothing: Result[] = [];
    const durable: Result[] = [];
    const together: Result[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      nothing.push(await wrk(reference, load));
      durable.push(await noted(wrk(node.url, load)));
      if (connections === CLIENT_CALLERS)
        together.push(await noted(client(node.url, CLIENT_CALLERS, SINGLE_SECONDS)));
    }
    const [base, own] = [
      row("do nothing, single", connections, nothing),
      row("coffer, single", connections, durable),
    ];
    rows.push(base, { ...own, ratio: { value: own.rate / base.rate, to: base.work } });
    if (together.length > 0) {
      const coalesced = row("coffer, single by the client", CLIENT_CALLERS, together);
      rows.push({ ...coalesced, ratio: { value: coalesced.rate / own.rate, to: own.work } });
    }
  }
  for (const batch of BATCH_SIZES) {
    const durable: Result[] = [];
    for (let round = 0; round < ROUNDS; round++)
      durable.push(
        await noted(
          wrk(node.url, { script: "batch", connections: BATCH_CONNECTIONS, seconds: BATCH_SECONDS, batch }),
        ),
      );
    rows.push(row(`coffer, batches of ${batch}`, BATCH_CONNECTIONS, durable));
  }
  const after = await node.client.ledger();
  const committed = results.reduce((sum, result) => sum + result.committed, 0);
  const decided = after.transactions - before.transactions;
  if (decided < committed)
    problems.push(`${committed} transfers were answered as committed, but the ledger has ${decided}`);
  if (after.totals[0].sum !== 0) problems.push(`all accounts add up to ${after.totals[0].sum}`);
  return rows;
}

function print(rows: readonly Row[], { type }: { readonly type: number }, busy: number): void {
  const milliseconds = (micros: number) => (micros / 1_000).toFixed(2);
  const cells = rows.map(({ work, connections, rate, p50, p99, ratio }) => [
    work,
    String(connections),
    Math.round(rate).toLocaleString("en"),
    milliseconds(p50),
    milliseconds(p99),
    ratio === undefined ? "" : ratio.value.toFixed(2),
    ratio?.to ?? "",
  ]);
  const table = [["work", "connections", "a second", "p50 ms", "p99 ms", "ratio", "to"], ...cells];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  const cpu = cpus();
  console.log(
    `${cpu[0]?.model ?? "unknown CPU"}, ${cpu.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, kernel ${release()}, Bun ${Bun.version}`,
  );
  console.log(
    `wrk, one thread, and the client on the same cores; medians of ${ROUNDS} rounds (single: ${SINGLE_SECONDS} s each, in turn; batches: ${BATCH_SECONDS} s)`,
  );
  if (busy > BUSY_LOAD)
    console.log(`the machine was busy before: a load of ${busy.toFixed(1)}; the rates are too low`);
  if (type === TMPFS) console.log("the log is on a file system in memory: nothing of this is durable");
  console.log("");
  for (const line of table)
    console.log(
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("   ")
        .trimEnd(),
    );
}

if (spawnSync("wrk", ["-v"]).error) {
  console.error("bench/run.ts: wrk is missing: install it (Debian: apt install wrk)");
  process.exit(1);
}
// Not where temporary files usually are: that may be in memory, where a sync costs nothing.
const folder = mkdtempSync(join(ROOT, "build", "bench-"));
const clean = async () => {
  await endTestProcesses();
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    void clean().finally(() => process.exit(1));
  });
try {
  const [busy = 0] = loadavg();
  const disk = statfsSync(folder);
  if (disk.bavail * disk.bsize < NEEDED_BYTES)
    throw new Error(`${ROOT} needs ${NEEDED_BYTES / 2 ** 30} GiB of free space`);
  const reference = new TestProcess(process.execPath, [join(ROOT, "bench", "do-nothing.ts")]);
  const [, url] = await reference.line(/^listening on (http:\/\/\S+)$/);
  const node = await CofferNode.start(join(folder, "data"));
  await fund(node);
  print(await measure(url as string, node), disk, busy);
  for (const problem of problems) console.error(`bench/run.ts: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await clean();
}
