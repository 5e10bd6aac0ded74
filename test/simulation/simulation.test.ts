/** The simulator's seeds, and the proof that it bites. `make soak` goes on with more seeds. */

import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";
import { SEED } from "../../tools/harness/seed.ts";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { Simulation } from "./simulation.ts";

const SEEDS = 200;
/** A bug that so many histories do not show is not found. */
const MAX_SEEDS_FOR_A_BUG = 1_000;
/** Some seconds of work take minutes on a machine that is busy. */
const PATIENCE_MS = 180_000;

test(
  `${SEEDS} simulated histories keep every promise`,
  async () => {
    const first = process.env.COFFER_SEED ? SEED : 1;
    for (let number = first; number < first + SEEDS; number++) {
      const simulation = new Simulation(number);
      try {
        const summary = await simulation.run();
        expect(summary.events).toBeGreaterThan(1);
      } catch (error) {
        console.error(simulation.trace.slice(-40).join("\n"));
        console.error(`seed ${number} fails; again: bun test/simulation/run.ts ${number} 1`);
        throw error;
      }
    }
  },
  PATIENCE_MS,
);

// Of two nodes, and of one.
test.each([1, 7])("the same seed makes the same history: %i", async (seed) => {
  const [one, other] = [new Simulation(seed), new Simulation(seed)];
  expect(await one.run()).toEqual(await other.run());
  expect(one.trace).toEqual(other.trace);
});

describe("the simulator finds that", () => {
  test.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))(
    "%s",
    async (_name, { file, from, to, firstSeed = 1 }) => {
      const copy = temporaryFolder();
      cpSync(join(ROOT, "src"), join(copy, "src"), { recursive: true });
      cpSync(join(ROOT, "tools", "harness"), join(copy, "tools", "harness"), { recursive: true });
      for (const folder of ["simulation", "support"])
        cpSync(join(ROOT, "test", folder), join(copy, "test", folder), { recursive: true });
      const path = join(copy, "src", file);
      const source = readFileSync(path, "utf8");
      expect(source.split(from).length).toBe(2); // the place is there, once
      writeFileSync(
        path,
        source.replace(from, () => to),
      );
      const run = new TestProcess(
        process.execPath,
        [join(copy, "test", "simulation", "run.ts"), String(firstSeed), String(MAX_SEEDS_FOR_A_BUG)],
        { BUN_JSC_useFTLJIT: "0" }, // it runs for too short a time to gain from it
      );
      expect(await run.exited).toBe(1);
      await run.line(/^seed [0-9]+ fails:/);
      rmSync(copy, { recursive: true });
    },
    PATIENCE_MS,
  );
});
