/**
 * Load by the coalescing client, for load.ts: `bun bench/client.ts URL IN_FLIGHT SECONDS`. So many callers each
 * make one transfer after the other, every one under a new id. It prints the line that report.lua prints.
 */

import process from "node:process";
import { Coffer } from "../clients/typescript/src/index.ts";

const ACCOUNTS = Number(process.env.ACCOUNTS);
/** Latencies are counted in steps of so many microseconds; those beyond the last step count as that. */
const STEP_MICROS = 10;
const STEPS = 1_000_000;

const [url, inFlight, seconds] = process.argv.slice(2) as [string, string, string];
const coffer = new Coffer(url, { token: process.env.KEY });
const latencies = new Uint32Array(STEPS);
let committed = 0;
let refused = 0;
let broken = 0;

const begin = performance.now();
const end = begin + Number(seconds) * 1_000;
await Promise.all(Array.from({ length: Number(inFlight) }, caller));
const duration = Math.round((performance.now() - begin) * 1_000);
await coffer.close();

const requests = committed + refused + broken;
const result = {
  requests,
  committed,
  duration,
  p50: percentile(0.5),
  p99: percentile(0.99),
  p999: percentile(0.999),
  refused,
  broken,
};
console.log(`RESULT ${JSON.stringify(result)}`);

async function caller(): Promise<void> {
  for (let sent = performance.now(); sent < end; ) {
    const from = Math.floor(Math.random() * ACCOUNTS);
    const to = (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS;
    const amount = 1 + Math.floor(Math.random() * 100);
    try {
      const { status } = await coffer.transfer({ from: `a${from}`, to: `a${to}`, amount });
      if (status === "committed") committed++;
      else refused++;
    } catch (error) {
      broken++;
      console.error(String(error));
    }
    const now = performance.now();
    const step = Math.min(Math.floor(((now - sent) * 1_000) / STEP_MICROS), STEPS - 1);
    latencies[step] = (latencies[step] as number) + 1;
    sent = now;
  }
}

/** In microseconds. */
function percentile(part: number): number {
  let left = requests * part;
  for (let step = 0; step < STEPS; step++) {
    left -= latencies[step] as number;
    if (left <= 0) return (step + 1) * STEP_MICROS;
  }
  return STEPS * STEP_MICROS;
}
