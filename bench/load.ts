/**
 * Load by wrk, or by the coalescing client: processes of their own, one thread each, which end with one line
 * of what they measured. Every transfer has an id that was never used.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { makeKey } from "../src/keys/key.ts";
import type { KeyRecord } from "../src/ports/keys.ts";
import { ROOT, TestProcess } from "../tools/harness/processes.ts";
import { ACCOUNTS } from "./settings.ts";

const BENCH = join(ROOT, "bench");

/** One run of wrk, or of client.ts. Times are in microseconds. */
export interface Result {
  readonly requests: number;
  /** Transfers that an answer says are committed; of reads, the answers. */
  readonly committed: number;
  readonly duration: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Answers that were not 200, and requests without an answer. */
  readonly refused: number;
  readonly broken: number;
}

export interface Load {
  /** The script in this folder, without .lua. */
  readonly script: "single" | "batch" | "balance";
  readonly connections: number;
  readonly seconds: number;
  readonly batch?: number;
  /** How long a connection rests between an answer and its next request, on average. */
  readonly delayMs?: number;
  /** Every transfer has one and the same account as payer or receiver. */
  readonly hot?: boolean;
}

/** Loads, and the keys that the node has to know for them. */
export function loadsWithKey(): { readonly loads: LoadGenerator; readonly keys: readonly KeyRecord[] } {
  const created = new Date().toISOString();
  const { key, record } = makeKey({ name: "bench", scope: "admin", account: undefined, created });
  return { loads: new LoadGenerator(key), keys: [record] };
}

export class LoadGenerator {
  /** What makes the run worthless. */
  readonly problems: string[] = [];

  /** Every request brings `key`, those to a reference too. */
  constructor(readonly key: string) {}

  wrk(
    url: string,
    { script, connections, seconds, batch = 1, hot = false, delayMs = 0 }: Load,
  ): Promise<Result> {
    const args = ["-t1", `-c${connections}`, `-d${seconds}`, "--timeout", "10s", "--latency"];
    const child = new TestProcess("wrk", [...args, "-s", join(BENCH, `${script}.lua`), url], {
      BENCH,
      KEY: this.key,
      IDS: newIds(),
      BATCH: String(batch),
      ACCOUNTS: String(ACCOUNTS),
      HOT: hot ? "1" : "",
      DELAY_MS: String(delayMs),
    });
    return this.#resultOf(child, `${script} of ${batch}, ${connections} connections`, batch);
  }

  /** Single transfers by so many callers of one coalescing client. */
  client(url: string, callers: number, seconds: number): Promise<Result> {
    const args = [join(BENCH, "client.ts"), url, String(callers), String(seconds)];
    const child = new TestProcess(process.execPath, args, { KEY: this.key, ACCOUNTS: String(ACCOUNTS) });
    return this.#resultOf(child, `client, ${callers} callers`);
  }

  /** Each request is answered with `batch` commitments, or the run is worthless. */
  async #resultOf(child: TestProcess, work: string, batch = 1): Promise<Result> {
    const [, json] = await child.line(/^RESULT (.*)$/);
    await child.exited;
    const result = JSON.parse(json as string) as Result;
    const { requests, committed, refused, broken } = result;
    if (committed !== requests * batch || refused + broken > 0)
      this.problems.push(
        `${work}: ${requests} answers with ${committed} commitments; ${refused} were not 200, ${broken} requests had none`,
      );
    return result;
  }
}

/** The first 24 characters of UUIDs that no other run has. */
function newIds(): string {
  const hex = randomBytes(9).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(12, 15)}-8${hex.slice(15, 18)}-`;
}
