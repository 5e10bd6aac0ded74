/** Replaying a log beside counting its newlines. */

import { join } from "node:path";
import process from "node:process";
import { coffer } from "../tools/harness/coffer.ts";
import { ROOT, TestProcess } from "../tools/harness/processes.ts";
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
  const rates = { lines: [] as number[], scan: [] as number[], replay: [] as number[] };
  const begin = performance.now();
  for (let round = 0; round < rounds && !isLate(begin); round++) {
    const { lines, lineSeconds, scanSeconds } = await countNewlines(log);
    rates.lines.push(lines / lineSeconds);
    rates.scan.push(lines / scanSeconds);
    const replayed = await replay(data);
    rates.replay.push(replayed.events / replayed.seconds);
    if (replayed.events !== lines)
      bench.loads.problems.push(`the log has ${lines} lines, and its replay ${replayed.events} events`);
  }
  const ratio = median(rates.replay.map((rate, round) => rate / (rates.lines[round] ?? Number.NaN)));
  const to = `counting lines, ${at}`;
  const claims: Claim[] = [
    { work: "replay", what: "rate", value: ratio, sense: "≥", target: settings.TARGETS.replay, unit: "×" },
    {
      work: "replay",
      what: "events",
      value: median(rates.replay) / 1e6,
      sense: "≥",
      target: settings.TARGETS.replayMillions,
      unit: "million/s",
    },
  ];
  return [
    { work: to, measured: rateText(median(rates.lines)) },
    { work: `finding newlines, ${at}`, measured: rateText(median(rates.scan)) },
    {
      work: `replay, ${at}`,
      measured: rateText(median(rates.replay)),
      ratio,
      to,
      claims: claimed ? claims : [],
    },
  ];
}

async function countNewlines(
  log: string,
): Promise<{ lines: number; lineSeconds: number; scanSeconds: number }> {
  const child = new TestProcess(process.execPath, [join(ROOT, "bench", "count-newlines.ts"), log]);
  const [json] = await child.line(/^\{.*\}$/);
  await child.exited;
  return JSON.parse(json);
}

async function replay(data: string): Promise<{ events: number; seconds: number }> {
  const { code, stdout, stderr } = await coffer(["replay", "--data", data, "--json"]);
  if (code !== 0) throw new Error(`replay exited ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
