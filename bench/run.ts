/**
 * Measures the compiled executable beside its references in one run, `bun bench/run.ts`: prints one table, and
 * writes bench/results.md and bench/results.svg.
 *
 * The machine is shared with what makes the load, so what can be compared are the ratios. A target that is
 * missed is told, and fails nothing; an answer that was no 200, or a ledger that does not hold what was
 * answered, makes the run worthless: it exits with 1 and writes nothing.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { endTestProcesses, ROOT, TestProcess } from "../tools/harness/processes.ts";
import type { Bench } from "./bench.ts";
import { measureGrowth } from "./growth.ts";
import { loadsWithKey } from "./load.ts";
import { lookAtMachine } from "./machine.ts";
import { measureReads } from "./reads.ts";
import { printTable, type Results, writeResults } from "./results.ts";
import type { Row } from "./rows.ts";
import { BATCH_SIZES, SINGLE_CONNECTIONS } from "./settings.ts";
import { measureStarts } from "./start.ts";
import { measureBatches, measureSingles } from "./throughput.ts";

async function measure(folder: string): Promise<readonly string[]> {
  const machine = lookAtMachine(folder);
  const reference = new TestProcess(process.execPath, [join(ROOT, "bench", "reference.ts")]);
  const [, referenceUrl] = await reference.line(/^listening on (http:\/\/\S+)$/);
  const bench: Bench = { folder, referenceUrl: referenceUrl as string, ...loadsWithKey() };
  const rates: Row[] = [];
  for (const connections of SINGLE_CONNECTIONS) {
    tell(`single transfers, ${connections} connections`);
    rates.push(...(await measureSingles(bench, connections)));
  }
  for (const batch of BATCH_SIZES) {
    tell(`batches of ${batch}`);
    rates.push(...(await measureBatches(bench, batch)));
  }
  tell("balance reads");
  rates.push(...(await measureReads(bench)));
  tell("a ledger that grows");
  const { rows: growth, filled } = await measureGrowth(bench);
  tell("starts");
  growth.push(...(await measureStarts(bench)));
  const results: Results = { machine, rates, growth, filled };
  printTable(results);
  const { problems } = bench.loads;
  if (problems.length === 0) writeResults(results);
  return problems;
}

function tell(part: string): void {
  console.error(`bench: ${part}`);
}

if (spawnSync("wrk", ["-v"]).error) {
  console.error("bench/run.ts: wrk is missing: install it (Debian: apt install wrk)");
  process.exit(1);
}
// Not where temporary files usually are: that may be in memory, where a sync costs nothing.
mkdirSync(join(ROOT, "build"), { recursive: true });
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
  const problems = await measure(folder);
  for (const problem of problems) console.error(`bench/run.ts: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await clean();
}
