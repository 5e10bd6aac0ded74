/** The results as a table on the terminal, and as bench/results.md with bench/results.svg. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../tools/harness/processes.ts";
import { drawChart } from "./chart.ts";
import type { Filled } from "./ledger.ts";
import { type Machine, machineText } from "./machine.ts";
import { type Claim, cellsOf, HEAD, isMet, type Row } from "./rows.ts";
import { ROUNDS } from "./settings.ts";

export interface Results {
  readonly machine: Machine;
  /** Of transfers and reads, then of a ledger that grows. */
  readonly rates: readonly Row[];
  readonly growth: readonly Row[];
  readonly filled: readonly Filled[];
}

const HOW = `wrk and the client, one thread each, run on the same cores as what they measure. Rounds are in turn: what is told are medians of ${ROUNDS} rounds, and of the rounds' ratios. Every id is new, every account funded, and a transfer counts when an answer says that it is committed; in the end the ledger held all that was counted.`;

export function printTable({ machine, rates, growth }: Results): void {
  const table = [[...HEAD], ...[...rates, ...growth].map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || column >= HEAD.indexOf("to");
  console.log(machineText(machine));
  console.log(`medians of ${ROUNDS} rounds, in turn; wrk and the client on the same cores, one thread each`);
  for (const warning of machine.warnings) console.log(warning);
  console.log("");
  for (const line of table)
    console.log(
      line
        .map((cell, column) =>
          isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    );
  console.log(`\n${tally(claimsOf(rates, growth))}`);
}

export function writeResults(results: Results): void {
  const { machine, rates, growth, filled } = results;
  const claims = claimsOf(rates, growth);
  const caption = machineText(machine);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const markdown = [
    "# What `make bench` measured",
    "",
    `${caption}. ${tally(claims)}`,
    "",
    ...machine.warnings.flatMap((warning) => [`**${warning}**`, ""]),
    "![Targets, latencies and growth](results.svg)",
    "",
    HOW,
    "",
    line(HEAD),
    line(HEAD.map((_, column) => (column === 0 || column >= HEAD.indexOf("to") ? "---" : "---:"))),
    ...[...rates, ...growth].map((row) =>
      line(cellsOf(row).map((cell) => cell.replaceAll("MISSED", "**missed**"))),
    ),
    "",
    "- `does nothing` and `validates only` are routes of Elysia with its own schema, one thread: they parse and validate the same bodies, and answer.",
    "- `one hot account`: every transfer has the same account as payer or as receiver.",
    "- Rows `at … million` are of one ledger that grows, in one process; a second a round, and no warm-up but for the first.",
    "- Memory is the resident set of coffer's process (VmRSS), without its nats-server, two seconds after the load. What an id takes is the growth between the two rows: the index of ids, and whatever else grew or was not given back.",
    "- `counting lines` is one thread of Bun that reads the same log line by line (`node:readline`), `finding newlines` one that looks for the bytes and makes nothing of the lines; the log is in the page cache for all. A replay's time is the one that it prints.",
    "- A start is from the process's beginning to the first 200 of `/health/ready`, with the files in the page cache.",
    "- Starts and replays that take long are measured once or twice instead. Of batches of 8,000 there are too few for a p99.9.",
    "",
  ];
  writeFileSync(join(ROOT, "bench", "results.md"), markdown.join("\n"));
  writeFileSync(
    join(ROOT, "bench", "results.svg"),
    drawChart({ caption, claims, rates: rates.filter(({ latency }) => latency), filled }),
  );
}

function claimsOf(...parts: readonly (readonly Row[])[]): Claim[] {
  return parts.flat().flatMap(({ claims = [] }) => claims);
}

function tally(claims: readonly Claim[]): string {
  return `${claims.filter(isMet).length} of ${claims.length} targets are met.`;
}
