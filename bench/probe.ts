/** Requests that come when they are due, whatever became of those before; each is timed from then. */

import { ACCOUNTS } from "./settings.ts";

export interface Probe {
  readonly body: string;
  /** 0 where no answer came. */
  readonly status: number;
  readonly retryAfter: boolean;
  readonly tookMs: number;
}

/** Probes without an answer; beyond, one that is due is not sent, and counts as without an answer. */
const MAX_UNDER_WAY = 1_000;
const MAX_TRIES = 100;

export class Prober {
  /** Transfers that were answered as committed, once each. */
  committed = 0;
  #underWay = 0;

  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly batch: number,
    private readonly perSecond: number,
  ) {}

  async run(seconds: number): Promise<readonly Probe[]> {
    const probes: Promise<Probe>[] = [];
    const begin = performance.now();
    for (let number = 0; number < seconds * this.perSecond; number++) {
      const dueMs = begin + (number / this.perSecond) * 1_000;
      await Bun.sleep(Math.max(dueMs - performance.now(), 0));
      probes.push(this.#probe(this.#body(), dueMs));
    }
    return Promise.all(probes);
  }

  /** Sends all again under their ids; returns how many of them the ledger does not know as they were answered. */
  async again(probes: readonly Probe[]): Promise<number> {
    let wrong = 0;
    for (const { body, status } of probes) {
      const answer = await this.#decided(body);
      const { replayed } = (await answer.json()) as { replayed?: number };
      const known = this.batch === 1 ? answer.headers.has("idempotent-replayed") : replayed === this.batch;
      const isNew = this.batch === 1 ? !known : replayed === 0;
      if (answer.status !== 200 || !(status === 200 ? known : isNew)) wrong++;
      if (status !== 200) this.committed += this.batch;
    }
    return wrong;
  }

  /** The answer of a node that is no longer overloaded. */
  async #decided(body: string): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#send(body);
      if (answer.status !== 503 || tries === MAX_TRIES) return answer;
      await answer.arrayBuffer();
      await Bun.sleep(Number(answer.headers.get("retry-after")) * 1_000);
    }
  }

  async #probe(body: string, dueMs: number): Promise<Probe> {
    const lost = { body, status: 0, retryAfter: false, tookMs: Number.POSITIVE_INFINITY };
    if (this.#underWay >= MAX_UNDER_WAY) return lost;
    this.#underWay++;
    try {
      const answer = await this.#send(body);
      await answer.arrayBuffer();
      const tookMs = performance.now() - dueMs;
      if (answer.status === 200) this.committed += this.batch;
      return { body, status: answer.status, retryAfter: answer.headers.has("retry-after"), tookMs };
    } catch {
      return lost; // it is counted as without an answer
    } finally {
      this.#underWay--;
    }
  }

  #send(body: string): Promise<Response> {
    const path = this.batch === 1 ? "transfer" : "transfers";
    const headers = { authorization: `Bearer ${this.key}`, "content-type": "application/json" };
    return fetch(`${this.url}/v1/wallet/${path}`, { method: "POST", headers, body });
  }

  #body(): string {
    const transfers = Array.from({ length: this.batch }, (_, place) => ({
      transaction_id: crypto.randomUUID(),
      from_account: `a${place % ACCOUNTS}`,
      to_account: `a${(place + 1) % ACCOUNTS}`,
      amount: 1,
    }));
    return JSON.stringify(this.batch === 1 ? transfers[0] : { transfers });
  }
}
