/** The gateways of a node, each on a thread of its own, as the engine's side has them. */

import type { Config } from "../config.ts";
import { mostWaiting } from "../gateway/admission.ts";
import { problem } from "../gateway/problems.ts";
import type { KeyWatch } from "../keys/key-watch.ts";
import type { GatewayLink, LinkNode } from "../link/gateway-link.ts";
import { GatewayMeasures } from "../metrics/gateway-measures.ts";
import type { Answer } from "../ports/answer.ts";
import type { NodeFacts } from "../ports/link.ts";
import type { NatsSession } from "../queue/nats-session.ts";
import type { Runtime, TlsPair } from "../runtime/runtime.ts";
import type { LedgerNode } from "./ledger-node.ts";
import { GatewayThread } from "./threads/gateway-thread.ts";

/** What requests by NATS may take, of those that wait for an answer; each has some weight beside its bytes. */
const MAX_ASKED_BYTES = 1 << 26;
const ASKED_OVERHEAD_BYTES = 1 << 10;
/** What large bodies that are under way may take, over all gateways. */
export const MAX_BODIES_BYTES = 1 << 26;

/** After so long connections of an old certificate are gone: each is closed after an answer, or when it is idle for 30 s. */
const RETIRE_TLS_MS = 40_000;

/** Who may call, and over what. */
export interface Access {
  readonly keys: KeyWatch;
  /** Undefined for plain HTTP. */
  readonly tls: TlsPair | undefined;
}

export type GatewayConfig = Config<
  "host" | "port" | "gatewayThreads" | "outcomeTimeoutMs" | "maxBodyBytes" | "maxConnections"
>;

export interface GatewaysParts {
  readonly access: Access;
  readonly runtime: Runtime;
  /** The program of a gateway's thread. */
  readonly script: URL;
  readonly node: LedgerNode<NatsSession>;
  readonly linkNode: LinkNode;
}

export class Gateways {
  /** Of each. */
  readonly measures: GatewayMeasures[] = [];
  readonly #all: { readonly thread: GatewayThread; readonly link: GatewayLink }[] = [];
  /** The seq up to which they may have answered; they all look at it before they read. */
  readonly #answered = new BigInt64Array(new SharedArrayBuffer(8));
  #asked = 0;
  #askedBytes = 0;
  /** The certificate that is to be served next, and the change that is under way. */
  #nextTls: TlsPair | undefined;
  #renewing: Promise<void> | undefined;

  constructor(
    private readonly config: GatewayConfig,
    private readonly parts: GatewaysParts,
  ) {}

  /** Starts the threads that serve HTTP; resolves with the port. */
  async start(): Promise<number> {
    const { host, maxBodyBytes, maxConnections, outcomeTimeoutMs } = this.config;
    const { access, runtime, script, node, linkNode } = this.parts;
    const threads = this.config.gatewayThreads ?? runtime.gatewayThreads.byDefault;
    let { port } = this.config;
    const { keys, tls } = access;
    // A listener with a new certificate takes the old one's place while that still serves.
    const shared = threads > 1 || tls !== undefined;
    if (shared && port > 0) await this.#refuseOthers(port);
    for (let number = 0; number < threads; number++) {
      const origin = crypto.getRandomValues(new Uint8Array(16));
      const measures = new GatewayMeasures();
      this.measures.push(measures);
      const thread = new GatewayThread(
        script,
        {
          origin,
          answered: this.#answered.buffer,
          measures: measures.memory,
          address: { host, port, shared, maxConnections, tls },
          keys: keys.inForce,
          bodies: { maxBodyBytes, maxBodiesBytes: Math.max(maxBodyBytes, MAX_BODIES_BYTES / threads) },
          settings: { outcomeTimeoutMs, mostWaiting: mostWaiting(threads) },
        },
        (error) => node.fail(error),
      );
      const link = node.join(origin, thread, linkNode);
      this.#all.push({ thread, link });
      port = await Promise.race([thread.listening, node.failed]);
    }
    return port;
  }

  /** Callers may be answered with what stands up to `seq`. */
  mayAnswer(seq: number): void {
    Atomics.store(this.#answered, 0, BigInt(seq));
  }

  tell(facts: NodeFacts): void {
    for (const { link } of this.#all) link.tell(facts);
  }

  /** Resolves when all have done it. */
  async call(call: Parameters<GatewayLink["call"]>[0]): Promise<void> {
    await Promise.all(this.#all.map(({ link }) => link.call(call)));
  }

  /** Has one of them answer a request that came by NATS: each in turn. */
  async ask(request: Uint8Array, maxAnswerBytes: number): Promise<Answer> {
    const bytes = request.length + ASKED_OVERHEAD_BYTES;
    if (this.#askedBytes + bytes > MAX_ASKED_BYTES)
      return problem("overloaded", `${this.#askedBytes} bytes of requests are waiting for a response`);
    this.#askedBytes += bytes;
    this.#asked = (this.#asked + 1) % this.#all.length;
    try {
      return await (this.#all[this.#asked] as { link: GatewayLink }).link.ask(request, maxAnswerBytes);
    } finally {
      this.#askedBytes -= bytes;
    }
  }

  /**
   * Serves another certificate to connections that are made from now on; one that comes meanwhile waits. Resolves
   * when it is served, or when a newer one is to be. Rejects where that cannot be: the old one is served on.
   */
  async renewTls(tls: TlsPair): Promise<void> {
    this.#nextTls = tls;
    await this.#renewing;
    if (this.#nextTls !== tls) return;
    this.#nextTls = undefined;
    const threads = this.#all.map(({ thread }) => thread);
    const count = threads.length;
    const retired = Promise.withResolvers<void>();
    this.#renewing = retired.promise;
    try {
      let besideOld = false;
      for (const thread of threads) besideOld = await thread.tls({ type: "tls_renew", tls });
      if (!besideOld) return retired.resolve();
      await threads[0]?.tls({ type: "tls_steer", first: count, count });
      this.#retireLater(threads)
        .catch((error) => this.parts.linkNode.failedRequest(String(error)))
        .finally(retired.resolve);
    } catch (error) {
      retired.resolve();
      throw error;
    }
  }

  /** The kernel moves the last listener to the place of one that is closed: so the old ones go from the last on. */
  async #retireLater(threads: readonly GatewayThread[]): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, RETIRE_TLS_MS).unref());
    for (const [number, thread] of [...threads.entries()].reverse()) {
      const count = Math.max(1, threads.length - 1);
      await thread.tls({ type: "tls_steer", first: number + 1, count });
      await thread.tls({ type: "tls_retire" });
    }
    await threads[0]?.tls({ type: "tls_steer", first: 0, count: threads.length });
  }

  /** Says that the node is not ready, though it serves on, for it is about to stop. */
  leave(): void {
    for (const { thread } of this.#all) thread.leave();
  }

  /** Ends their threads. */
  async end(): Promise<void> {
    await Promise.all(this.#all.map(({ thread }) => thread.end()));
  }

  /** A port that threads share could be shared with another process: it must be free before. */
  async #refuseOthers(port: number): Promise<void> {
    const { host, maxConnections } = this.config;
    const address = { host, port, shared: false, maxConnections, tls: undefined };
    const nobody = { fetch: () => new Response(null, { status: 503 }) };
    await (await this.parts.runtime.serve(nobody, address)).cut();
  }
}
