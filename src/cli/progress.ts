/** Tells how far a long work is: a bar on a terminal, a plain line now and then elsewhere. On stderr. */

import process from "node:process";

const BAR_WIDTH = 40;
const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;

export interface Progress {
  at(done: number): void;
  end(): void;
}

/** `total` in whatever unit `at` is told. */
export function showProgress(what: string, total: number): Progress {
  const terminal = process.stderr.isTTY === true;
  const intervalMs = terminal ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
  let shownMs = performance.now();
  let shown = false;
  return {
    at(done) {
      if (performance.now() - shownMs < intervalMs) return;
      shownMs = performance.now();
      shown = true;
      const share = total > 0 ? Math.min(1, done / total) : 1;
      const percent = `${Math.floor(share * 100)} %`;
      const filled = Math.round(share * BAR_WIDTH);
      process.stderr.write(
        terminal
          ? `\r${what} [${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${percent}`
          : `${what}: ${percent}\n`,
      );
    },
    end() {
      if (terminal && shown) process.stderr.write(`\r${" ".repeat(what.length + BAR_WIDTH + 9)}\r`);
    },
  };
}
