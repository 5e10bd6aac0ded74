/**
 * Runs simulated histories: `bun test/simulation/run.ts FIRST COUNT`, or `--seconds N` from a seed that no run
 * had before. Prints the first seed that fails, with the end of its trace, and exits 1.
 */

import process from "node:process";
import { Simulation } from "./simulation.ts";

const REPORT_EVERY = 1_000;

const [first, isOver] = seedsOf(process.argv.slice(2));
const totals = { seeds: 0, events: 0, answered: 0, crashes: 0 };
for (let seed = first; !isOver(totals.seeds); seed++) {
  const simulation = new Simulation(seed);
  try {
    const { events, answered, crashes } = await simulation.run();
    totals.seeds++;
    totals.events += events;
    totals.answered += answered;
    totals.crashes += crashes;
  } catch (error) {
    console.error(simulation.trace.slice(-60).join("\n"));
    console.error(`seed ${seed} fails:`, error);
    process.exit(1);
  }
  if (totals.seeds % REPORT_EVERY === 0) report();
}
report();

function report(): void {
  const { seeds, events, answered, crashes } = totals;
  console.log(
    `${seeds} seeds from ${first}: ${events} events, ${answered} answers, ${crashes} crashes, no violation`,
  );
}

/** The first seed, and whether so many are enough. */
function seedsOf(args: readonly string[]): readonly [number, (done: number) => boolean] {
  if (args[0] === "--seconds") {
    const untilMs = performance.now() + Number(args[1]) * 1_000;
    return [1_000 + Math.floor(Math.random() * 2 ** 30), () => performance.now() > untilMs];
  }
  const [from = 1, count = 200] = args.map(Number);
  return [from, (done) => done >= count];
}
