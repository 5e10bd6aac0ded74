/**
 * More load than a node can carry, for 30 seconds, `bun bench/overload.ts`: prints what became of
 * memory, of who was let in, of who was refused and of the speed afterwards; exits with 1 where a claim fails.
 *
 * The load is many more connections of wrk than are carried. Each rests after an answer, whether it was let in or
 * refused, for as long as all that is carried takes for one; as far as the machine lets them they ask several times
 * as often as that is answered. It is an overload where five times as much was offered, or somebody was refused;
 * where it was none, that fails for batches, and is told for single transfers. Beside it come probes, so many a
 * second whatever becomes of them, whose times count from when they were due. Afterwards the node's speed is held
 * against that of a node that was just started on a copy of the ledger, in turns: both have grown alike. At the end
 * every id of a probe is sent again: what was answered must be in the ledger, and nothing of what was refused.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { coffer } from "../tools/harness/coffer.ts";
import { endTestProcesses, ROOT } from "../tools/harness/processes.ts";
import { BenchLedger } from "./ledger.ts";
import { type Load, loadsWithKey, type Result } from "./load.ts";
import { memoryBound } from "./memory-bound.ts";
import { type Probe, Prober } from "./probe.ts";
import { BUSY_LOAD, OVERLOAD } from "./settings.ts";

interface Work {
  readonly name: string;
  readonly script: Load["script"];
  readonly batch: number;
  /** What it carries. */
  readonly connections: number;
  /** What is too much for it. */
  readonly offered: number;
  /** Whether it must be too much; else it is told where it was not. */
  readonly mustOverload: boolean;
  readonly probesASecond: number;
}

const WORKS: readonly Work[] = [
  { name: "single transfers", script: "single", batch: 1, ...OVERLOAD.single },
  { name: "batches of 1,000", script: "batch", batch: 1_000, ...OVERLOAD.batch },
];

const failed: string[] = [];
/** Works that were let in whole. */
const notOverloads: string[] = [];

function claim(text: string, holds: boolean): void {
  console.log(`  ${holds ? "ok    " : "FAILED"} ${text}`);
  if (!holds) failed.push(text);
}

async function overload(folder: string, work: Work) {
  const { name, script, batch, connections, offered, probesASecond } = work;
  // Refusals are what is measured here: that there are some is no problem.
  const { loads, keys } = loadsWithKey();
  const ledger = await BenchLedger.open({ folder, referenceUrl: "", loads, keys }, script);
  const load = (connections: number, seconds: number, delayMs = 0): Promise<Result> =>
    ledger.load({ script, batch, connections, seconds, delayMs });
  const rate = ({ committed, duration }: Result) => committed / (duration / 1e6);
  const [restBytes, atRest] = [await ledger.memory(), await ledger.transfers()];
  const boundWith = async (connections: number) =>
    memoryBound({ restBytes, transactions: (await ledger.transfers()) - atRest, connections });
  await load(connections, OVERLOAD.warmUpSeconds);
  ledger.forgetPeak();
  const before = await load(connections, OVERLOAD.carriedSeconds);
  const carriedPeak = ledger.peak();
  const carriedBound = await boundWith(connections);
  ledger.forgetPeak();
  const restMs = Math.round((connections * batch * 1_000) / rate(before));
  const prober = new Prober(ledger.url, loads.key, batch, probesASecond);
  const [during, probes] = await Promise.all([
    load(offered, OVERLOAD.seconds, restMs),
    prober.run(OVERLOAD.seconds),
  ]);
  const peak = ledger.peak();
  const bound = await boundWith(offered);
  // A ledger that has grown is another one than before: the speed is held against a node that has only its size.
  const twin = await ledger.twin(`${script}-twin`);
  const size = await twin.transfers();
  const usual = { script, batch, connections, seconds: OVERLOAD.speedSeconds };
  let [after, fresh] = [0, 0];
  // What else runs on the machine may slow down one round; what the overload has left behind slows down all.
  for (let round = 0; round < OVERLOAD.rounds; round++) {
    await Bun.sleep(OVERLOAD.restSeconds * 1_000);
    fresh = Math.max(fresh, rate(await twin.load(usual)));
    await Bun.sleep(OVERLOAD.restSeconds * 1_000);
    after = Math.max(after, rate(await ledger.load(usual)));
  }
  await twin.stop();
  twin.remove();

  const [accepted, refused] = [200, 503].map((status) => probes.filter((probe) => probe.status === status));
  const others = probes.length - (accepted as Probe[]).length - (refused as Probe[]).length;
  const asked = during.requests / (during.duration / 1e6);
  const share = (during.requests - during.refused) / during.requests;
  console.log(`\n${name}: ${connections} connections carried, ${offered} offered`);
  console.log(`  carried ${count(rate(before))} transfers/s, p99 ${ms(before.p99 / 1_000)}`);
  console.log(
    `  offered ${count(asked * batch)} transfers/s for ${OVERLOAD.seconds} s; let in ${(share * 100).toFixed(1)} %, ${count(rate(during))} transfers/s`,
  );
  const times = (asked * batch) / rate(before);
  const what = `offered ${times.toFixed(1)} times what is carried, refused ${count(during.refused)} requests and ${refused?.length} probes`;
  if (times >= OVERLOAD.times || during.refused > 0) claim(`an overload: ${what}`, true);
  else if (work.mustOverload) claim(`not an overload: ${what}`, false);
  else {
    console.log(`  NOT AN OVERLOAD: ${what}.`);
    console.log("         This machine offers none of this kind; what follows is of a load at the limit.");
    notOverloads.push(name);
  }
  claim(
    `memory where it is carried: peak ${mib(carriedPeak)}, at most ${mib(carriedBound)}`,
    carriedPeak <= carriedBound,
  );
  claim(`memory: peak ${mib(peak)}, at most ${mib(bound)} (at rest: ${mib(restBytes)})`, peak <= bound);
  const slowest = p99(accepted as Probe[]);
  claim(
    `let in: p99 ${ms(slowest)} of ${accepted?.length} probes, below ${ms(OVERLOAD.acceptedMs)}`,
    slowest < OVERLOAD.acceptedMs,
  );
  if (refused?.length) {
    const late = p99(refused);
    claim(
      `refused: p99 ${ms(late)} of ${refused.length} probes, below ${ms(OVERLOAD.refusedMs)}`,
      late < OVERLOAD.refusedMs,
    );
    claim(
      "each was told when to come again",
      refused.every(({ retryAfter }) => retryAfter),
    );
  } else if (during.refused > 0) claim("some of the probes are refused", false);
  claim(
    `only let in or refused; otherwise answered: ${others}, without an answer: ${during.broken}`,
    others + during.broken === 0,
  );
  claim(
    `afterwards ${(after / fresh).toFixed(2)} as fast as a node that was just started on a copy of the ledger: ${count(after)} and ${count(fresh)} transfers/s, from ${count(size)} transactions on`,
    after >= fresh * OVERLOAD.speedAfter,
  );
  const wrong = await prober.again(probes);
  claim(`what was answered is in the ledger, and nothing of what was refused; wrong: ${wrong}`, wrong === 0);
  ledger.told(prober.committed);
  loads.problems.length = 0;
  await ledger.audit();
  claim(
    `the ledger holds what was answered, and adds up to 0 ${loads.problems.join("; ")}`,
    loads.problems.length === 0,
  );
  await ledger.stop();
  const { code, stdout } = await coffer(["verify", "--data", ledger.data]);
  claim(`coffer verify: ${stdout}`, code === 0);
  ledger.remove();
}

function p99(probes: readonly Probe[]): number {
  const sorted = probes.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY;
}

const count = (number: number) => Math.round(number).toLocaleString("en");
const ms = (milliseconds: number) => `${milliseconds.toFixed(0)} ms`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

mkdirSync(join(ROOT, "build"), { recursive: true });
const [busy] = loadavg();
if (Number(busy) > BUSY_LOAD)
  console.log(`the machine was busy before, a load of ${busy?.toFixed(1)}: times and rates say little`);
const folder = mkdtempSync(join(ROOT, "build", "overload-"));
try {
  for (const work of WORKS) await overload(folder, work);
  for (const name of notOverloads) console.log(`\n${name}: nothing is shown of an overload.`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  await endTestProcesses();
  rmSync(folder, { recursive: true, force: true });
}
