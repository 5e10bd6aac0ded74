/** Runs seeds: `bun test/simulation/run.ts FIRST COUNT`. Prints the first that fails, with its trace, and exits 1. */

import process from "node:process";
import { Simulation } from "./simulation.ts";

const [first = 1, count = 200] = process.argv.slice(2).map(Number);
let events = 0;
let crashes = 0;
let answered = 0;
for (let seed = first; seed < first + count; seed++) {
  const simulation = new Simulation(seed);
  try {
    const summary = await simulation.run();
    events += summary.events;
    crashes += summary.crashes;
    answered += summary.answered;
  } catch (error) {
    console.error(simulation.trace.slice(-60).join("\n"));
    console.error(`seed ${seed} fails:`, error);
    process.exit(1);
  }
}
console.log(`${count} seeds: ${events} events, ${answered} answers, ${crashes} crashes`);
