/** The results as one picture: targets, latencies, and how a ledger's growth slows it. Light and dark. */

import type { Filled } from "./ledger.ts";
import { type Claim, isMet, type Row, targetText, valueText } from "./rows.ts";

export interface ChartData {
  readonly caption: string;
  readonly claims: readonly Claim[];
  /** Rows with latencies. */
  readonly rates: readonly Row[];
  readonly filled: readonly Filled[];
}

const WIDTH = 880;
const MARGIN = 20;
/** Names to the left of it, and of the bars' ends. */
const LEFT = 290;
const RIGHT = 690;
const LINE = 20;
const TITLE = 52;
/** Bars end here, in parts of the target. */
const MOST_OF_TARGET = 2;
/** The scale of latencies. */
const DECADES_MS = [0.1, 1, 10, 100, 1_000];
const GROWTH_HEIGHT = 150;
const PERCENTILES = ["p50", "p99", "p999"] as const;

const STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.title { font-size: 14px; font-weight: 600; }
.quiet { fill: #57606a; }
.paper { fill: #ffffff; }
.rule { stroke: #d0d7de; }
.target { stroke: #24292f; stroke-width: 1.5; }
.met { fill: #2da44e; }
.missed { fill: #d4722b; }
.own { fill: #0969da; stroke: #0969da; }
.base { fill: #8c959f; stroke: #8c959f; }
.curve { fill: none; stroke: #0969da; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .paper { fill: #0d1117; }
  .rule { stroke: #30363d; }
  .target { stroke: #e6edf3; }
  .met { fill: #3fb950; }
  .missed { fill: #f0883e; }
  .own { fill: #58a6ff; stroke: #58a6ff; }
  .base { fill: #6e7681; stroke: #6e7681; }
  .curve { stroke: #58a6ff; }
}`;

export function drawChart({ caption, claims, rates, filled }: ChartData): string {
  const parts = [drawTargets(claims), drawLatencies(rates), drawGrowth(filled)];
  let height = MARGIN;
  const panels = parts.map((panel) => {
    const placed = `<g transform="translate(0 ${height})">\n${panel.shapes.join("\n")}\n</g>`;
    height += panel.height + MARGIN;
    return placed;
  });
  height += LINE;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>What make bench measured</title>
<style>${STYLE}
</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>
${panels.join("\n")}
${text(MARGIN, height - MARGIN + 4, caption, "quiet")}
</svg>
`;
}

interface Panel {
  readonly height: number;
  readonly shapes: readonly string[];
}

/** A bar a claim, in parts of its target: it is met where the bar reaches the line. */
function drawTargets(claims: readonly Claim[]): Panel {
  const x = (part: number) => LEFT + ((RIGHT - LEFT) * Math.min(part, MOST_OF_TARGET)) / MOST_OF_TARGET;
  const bottom = TITLE + claims.length * LINE;
  const shapes = [
    ...title("Targets", "a bar that reaches the line meets its target; rates beside their own reference"),
    ...claims.flatMap((claim, index) => {
      const y = TITLE + index * LINE;
      const width = Math.max(x(partOfTarget(claim)) - LEFT, 1);
      return [
        text(LEFT - 8, y + 14, `${claim.work}: ${claim.what}`, "", "end"),
        `<rect class="${isMet(claim) ? "met" : "missed"}" x="${LEFT}" y="${y + 4}" width="${round(width)}" height="12" rx="2"/>`,
        text(RIGHT + 8, y + 14, `${valueText(claim)}  (${targetText(claim)})`, isMet(claim) ? "" : "quiet"),
      ];
    }),
    line(x(1), TITLE, x(1), bottom, "target"),
  ];
  return { height: bottom, shapes };
}

function partOfTarget({ value, sense, target }: Claim): number {
  if (value === undefined || Number.isNaN(value)) return 0;
  return sense === "≥" ? value / target : target / value;
}

function drawLatencies(rows: readonly Row[]): Panel {
  const [first, last] = [Math.log10(DECADES_MS[0] as number), Math.log10(DECADES_MS.at(-1) as number)];
  const x = (ms: number) => {
    const part = (Math.log10(ms) - first) / (last - first);
    return LEFT + (RIGHT - LEFT) * Math.min(Math.max(part, 0), 1);
  };
  const bottom = TITLE + rows.length * LINE;
  const shapes = [
    ...title("Latency", "p50, p99 and p99.9 in milliseconds; behind ×: connections; grey: the reference"),
    ...DECADES_MS.flatMap((ms) => [
      line(x(ms), TITLE, x(ms), bottom, "rule"),
      text(x(ms), bottom + 14, String(ms), "quiet", "middle"),
    ]),
    ...rows.flatMap(({ work, connections, latency, measured }, index) => {
      const y = TITLE + index * LINE + 10;
      const kind = work.startsWith("coffer") ? "own" : "base";
      const at = PERCENTILES.map((percentile) => x((latency?.[percentile] ?? 0) / 1_000));
      return [
        text(
          LEFT - 8,
          y + 4,
          `${work.replace("coffer, ", "")} × ${connections}`,
          kind === "own" ? "" : "quiet",
          "end",
        ),
        line(at[0] as number, y, at.at(-1) as number, y, kind),
        ...at.map((place, of) => `<circle class="${kind}" cx="${round(place)}" cy="${y}" r="${4 - of}"/>`),
        text(RIGHT + 8, y + 4, measured, kind === "own" ? "" : "quiet"),
      ];
    }),
  ];
  return { height: bottom + LINE, shapes };
}

/** The rate of batches while the ledger is filled, beside the rate at its beginning. */
function drawGrowth(filled: readonly Filled[]): Panel {
  const most = Math.max(...filled.map(({ transfers }) => transfers), 1);
  const fastest = Math.max(...filled.map(({ rate }) => rate), 1);
  const bottom = TITLE + GROWTH_HEIGHT;
  const x = (transfers: number) => LEFT + ((RIGHT - LEFT) * transfers) / most;
  const y = (rate: number) => bottom - (GROWTH_HEIGHT * rate) / fastest;
  const points = filled.map(({ transfers, rate }) => `${round(x(transfers))},${round(y(rate))}`);
  const millions = Array.from({ length: Math.floor(most / 1e6) }, (_, index) => index + 1);
  const shapes = [
    ...title("Growth", "transfers a second, in batches of 8,000, by millions of transfers in the ledger"),
    ...[0, 0.5, 1].flatMap((part) => [
      line(LEFT, y(part * fastest), RIGHT, y(part * fastest), "rule"),
      text(LEFT - 8, y(part * fastest) + 4, Math.round(part * fastest).toLocaleString("en"), "quiet", "end"),
    ]),
    ...millions.map((million) => text(x(million * 1e6), bottom + 16, String(million), "quiet", "middle")),
    `<polyline class="curve" points="${points.join(" ")}"/>`,
  ];
  return { height: bottom + LINE, shapes };
}

function title(name: string, what: string): string[] {
  return [text(MARGIN, 16, name, "title"), text(MARGIN, 36, what, "quiet")];
}

function text(x: number, y: number, words: string, kind = "", anchor = "start"): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${round(x)}" y="${round(y)}"${kind && ` class="${kind}"`} text-anchor="${anchor}">${escaped}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return `<line class="${kind}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
