/** What a run measured, as rows of one table, and the claims that the rows are held against. */

import type { Latency, Series } from "./rounds.ts";

export interface Claim {
  /** What was measured, and what of it is held against the target. */
  readonly work: string;
  readonly what: string;
  /** Undefined where it could not be measured: that is missed, too. */
  readonly value: number | undefined;
  readonly sense: "≥" | "≤" | "<";
  readonly target: number;
  readonly unit: "×" | "ms" | "s" | "million/s";
}

export interface Row {
  readonly work: string;
  readonly connections?: number;
  /** With its unit. */
  readonly measured: string;
  readonly latency?: Latency;
  /** Beside what stands in `to`. */
  readonly ratio?: number;
  readonly to?: string;
  readonly claims?: readonly Claim[];
}

export const HEAD = [
  "work",
  "connections",
  "measured",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "ratio",
  "to",
  "target",
] as const;

export function isMet({ value, sense, target }: Claim): boolean {
  if (value === undefined || Number.isNaN(value)) return false;
  if (sense === "≥") return value >= target;
  return sense === "≤" ? value <= target : value < target;
}

export function valueText({ value, unit }: Claim): string {
  return value === undefined ? "none" : `${value.toFixed(2)} ${unit}`;
}

export function targetText({ sense, target, unit }: Claim): string {
  return `${sense} ${target} ${unit}`;
}

export function rateText(rate: number): string {
  return `${Math.round(rate).toLocaleString("en")} /s`;
}

/** How large a ledger is. */
export function atText(transfers: number): string {
  return `at ${(transfers / 1e6).toFixed(1)} million`;
}

/** A row about rates and latencies. */
export function rateRow(work: string, connections: number, series: Series, more: Partial<Row> = {}): Row {
  return { work, connections, measured: rateText(series.rate), latency: series.latency, ...more };
}

/** The cells of the table's lines, below HEAD. */
export function cellsOf({ work, connections, measured, latency, ratio, to, claims = [] }: Row): string[] {
  const milliseconds = (micros: number | undefined) =>
    micros === undefined ? "" : (micros / 1_000).toFixed(2);
  return [
    work,
    connections === undefined ? "" : String(connections),
    measured,
    milliseconds(latency?.p50),
    milliseconds(latency?.p99),
    milliseconds(latency?.p999),
    ratio === undefined ? "" : ratio.toFixed(2),
    to ?? "",
    claims.map(claimText).join("; "),
  ];
}

function claimText(claim: Claim): string {
  return `${claim.what} ${valueText(claim)} (${targetText(claim)}) ${isMet(claim) ? "met" : "MISSED"}`;
}
