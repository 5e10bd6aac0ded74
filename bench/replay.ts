/** Replaying a log beside counting its newlines. */

import { join } from "node:path";
import process from "node:process";
import { coffer } from "../test/support/coffer.ts";
import { ROOT, TestProcess } from "../test/support/processes.ts";
import type { Bench } from "./bench.ts";
import { isLate, median } from "./rounds.ts";
import { type Claim, type Row, rateText } from "./rows.ts";
import * as settings from "./settings.ts";

/** Replays the log of a ledger that rests, or whose node was stopped. `at` says how large it is. */
export async function measureReplay(
  bench: Bench,
  data: string,
  at: string,
  rounds = 1,
  claimed = false,
): Promise<Row[]> {
  const log = join(data, "events.log");
  const rates = { count: [] as number[], wc: [] as number[], replay: [] as number[] };
  await countNewlines(log); // from here on it is read from memory, by all of them
  const begin = performance.now();
  for (let round = 0; round < rounds && !isLate(begin); round++) {
    const { newlines, seconds } = await countNewlines(log);
    rates.count.push(newlines / seconds);
    rates.wc.push(newlines / (await secondsOfWc(log)));
    const replayed = await replay(data);
    rates.replay.push(replayed.events / replayed.seconds);
    if (replayed.events !== newlines)
      bench.loads.problems.push(`the log has ${newlines} lines, and its replay ${replayed.events} events`);
  }
  const ratio = median(rates.replay.map((rate, round) => rate / (rates.count[round] ?? Number.NaN)));
  const to = `counting newlines, ${at}`;
  const claim: Claim = {
    work: "replay",
    what: "rate",
    value: ratio,
    sense: "≥",
    target: settings.TARGETS.replay,
    unit: "×",
  };
  return [
    { work: to, measured: rateText(median(rates.count)) },
    { work: `wc -l, ${at}`, measured: rateText(median(rates.wc)) },
    {
      work: `replay, ${at}`,
      measured: rateText(median(rates.replay)),
      ratio,
      to,
      claims: claimed ? [claim] : [],
    },
  ];
}

async function countNewlines(log: string): Promise<{ newlines: number; seconds: number }> {
  const child = new TestProcess(process.execPath, [join(ROOT, "bench", "count-newlines.ts"), log]);
  const [json] = await child.line(/^\{.*\}$/);
  await child.exited;
  return JSON.parse(json);
}

async function secondsOfWc(log: string): Promise<number> {
  const begin = performance.now();
  await new TestProcess("wc", ["-l", log]).exited;
  return (performance.now() - begin) / 1_000;
}

async function replay(data: string): Promise<{ events: number; seconds: number }> {
  const { code, stdout, stderr } = await coffer(["replay", "--data", data, "--json"]);
  if (code !== 0) throw new Error(`replay exited ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
