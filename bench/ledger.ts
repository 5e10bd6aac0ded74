/**
 * A ledger for one part of a run, with funded accounts: a node of the compiled executable on a folder of its own.
 *
 * It counts what the answers say. At the end the ledger must hold all of that, and no more beside it than can
 * have been under way when a load ended, and all accounts must add up to 0.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeKeys } from "../src/keys/key-file.ts";
import { CofferNode, coffer } from "../tools/harness/coffer.ts";
import { WalletClient } from "../tools/harness/wallet-client.ts";
import type { Bench } from "./bench.ts";
import type { Load, Result } from "./load.ts";
import { rateOf } from "./rounds.ts";
import * as settings from "./settings.ts";

const { ACCOUNTS, FUNDS, FUNDING_BATCH } = settings;
/** How often a node is looked at that does not say when it has come so far. */
const LOOK_MS = 100;
/** After so long the memory of the last load's requests has been given back. */
const REST_MS = 2_000;

/** What one load did to the ledger's size. */
export interface Filled {
  /** Transfers in the ledger, half-way through. */
  readonly transfers: number;
  /** Transfers a second. */
  readonly rate: number;
}

export class BenchLedger {
  readonly data: string;
  readonly #bench: Bench;
  #node: CofferNode;
  /** Of the funding, which is counted by itself. */
  #first = 0;
  #committed = 0;
  #underWay = 0;

  private constructor(bench: Bench, data: string, node: CofferNode) {
    this.#bench = bench;
    this.data = data;
    this.#node = node;
  }

  static async open(bench: Bench, name: string): Promise<BenchLedger> {
    const data = join(bench.folder, name, "data");
    mkdirSync(data, { recursive: true });
    writeKeys(data, bench.keys);
    const ledger = new BenchLedger(bench, data, CofferNode.launch(data));
    await ledger.#ready();
    await ledger.#fund();
    ledger.#first = await ledger.transfers();
    return ledger;
  }

  /** Another one that holds the same: a node that is started on a backup of this one, which goes on. */
  async twin(name: string): Promise<BenchLedger> {
    const data = join(this.#bench.folder, name, "data");
    const { code, stderr } = await coffer(["backup", "--data", this.data, "--to", data]);
    if (code !== 0) throw new Error(`the backup failed: ${stderr}`);
    writeKeys(data, this.#bench.keys);
    const twin = new BenchLedger(this.#bench, data, CofferNode.launch(data));
    await twin.#ready();
    return twin;
  }

  get url(): string {
    return this.#node.url;
  }

  async #fund(): Promise<void> {
    const { client } = this.#node;
    await client.open("bank", ACCOUNTS * FUNDS);
    for (let first = 0; first < ACCOUNTS; first += FUNDING_BATCH) {
      const count = Math.min(FUNDING_BATCH, ACCOUNTS - first);
      const { body } = await client.transfers(
        Array.from({ length: count }, (_, index) => ({
          from_account: "bank",
          to_account: `a${first + index}`,
          amount: FUNDS,
        })),
      );
      if (body.committed !== count) throw new Error(`funding failed: ${JSON.stringify(body)}`);
    }
  }

  async load(load: Load): Promise<Result> {
    const result = await this.#bench.loads.wrk(this.url, load);
    if (load.script !== "balance") this.#count(result, load.connections * (load.batch ?? 1));
    return result;
  }

  async client(callers: number, seconds: number): Promise<Result> {
    const result = await this.#bench.loads.client(this.url, callers, seconds);
    this.#count(result, 0);
    return result;
  }

  /** What others were answered. */
  told(committed: number): void {
    this.#committed += committed;
  }

  #count(result: Result, underWay: number): void {
    this.#committed += result.committed;
    this.#underWay += underWay;
  }

  /** Fills it up to so many transfers. */
  async fill(transfers: number): Promise<readonly Filled[]> {
    const filled: Filled[] = [];
    for (let before = await this.transfers(); before < transfers; ) {
      const rate = filled.at(-1)?.rate ?? 0;
      const result = await this.load({
        script: "batch",
        connections: settings.BATCH_CONNECTIONS,
        seconds: rate * settings.FILLING_SECONDS > transfers - before ? 1 : settings.FILLING_SECONDS,
        batch: settings.FILLING_BATCH,
      });
      if (result.committed === 0) throw new Error("nothing is committed any more");
      const after = await this.transfers();
      filled.push({ transfers: (before + after) / 2, rate: rateOf(result) });
      before = after;
    }
    return filled;
  }

  /** How many it holds, when all that was under way is decided. */
  async transfers(): Promise<number> {
    for (let before = -1; ; ) {
      const { transactions } = await this.#node.client.ledger();
      if (transactions === before) return transactions;
      before = transactions;
      await Bun.sleep(LOOK_MS);
    }
  }

  /** Resolves when a load that was just begun has committed something. */
  async moves(): Promise<void> {
    const ledger = async () => (await this.#node.client.ledger()).seq as number;
    const before = await ledger();
    while ((await ledger()) === before) await Bun.sleep(LOOK_MS);
  }

  /** Bytes of memory that are the node's process's own at rest (VmRSS of Linux). */
  async memory(): Promise<number> {
    await Bun.sleep(REST_MS);
    const status = readFileSync(`/proc/${this.#node.process.pid}/status`, "utf8");
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
    return Number(kibibytes) * 1_024;
  }

  /** The most memory that the node had since forgetPeak() (VmHWM of Linux), in bytes. */
  peak(): number {
    const status = readFileSync(`/proc/${this.#node.process.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
  }

  forgetPeak(): void {
    writeFileSync(`/proc/${this.#node.process.pid}/clear_refs`, "5");
  }

  async stop(): Promise<void> {
    const code = await this.#node.stop();
    if (code !== 0) throw new Error(`the node ended with ${code}:\n${this.#node.process.stderr.join("\n")}`);
  }

  /** Starts a node that was stopped; returns how many seconds it took until it was ready. */
  async start(): Promise<number> {
    const begin = performance.now();
    this.#node = CofferNode.launch(this.data);
    await this.#ready();
    return (performance.now() - begin) / 1_000;
  }

  async #ready(): Promise<void> {
    await this.#node.ready();
    this.#node.client = new WalletClient(this.url, { key: this.#bench.loads.key });
    while ((await this.#node.client.get("/health/ready")).status !== 200) await Bun.sleep(1);
  }

  /** Holds the ledger against the answers. */
  async audit(): Promise<void> {
    const { problems } = this.#bench.loads;
    const decided = (await this.transfers()) - this.#first;
    if (decided < this.#committed || decided > this.#committed + this.#underWay)
      problems.push(`${this.#committed} transfers were answered as committed, and the ledger has ${decided}`);
    const { totals } = await this.#node.client.ledger();
    if (totals[0].sum !== 0) problems.push(`all accounts add up to ${totals[0].sum}`);
  }

  /** Removes a ledger whose node was stopped. */
  remove(): void {
    rmSync(join(this.data, ".."), { recursive: true, force: true });
  }
}

/** Opens a ledger, gives it to `work`, holds it against the answers and removes it. */
export async function withLedger<T>(
  bench: Bench,
  name: string,
  work: (ledger: BenchLedger) => Promise<T>,
): Promise<T> {
  const ledger = await BenchLedger.open(bench, name);
  const result = await work(ledger);
  await ledger.audit();
  await ledger.stop();
  ledger.remove();
  return result;
}
