/**
 * The nats-server that coffer carries, run as a supervised child: loopback, a random port, a random token,
 * its store in the data folder. It ends when its standard input closes, so it cannot outlive its parent,
 * and it locks its store, so that no two ever share one.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Report } from "../ports/node-log.ts";
import type { NatsEndpoint } from "./nats-endpoint.ts";
import { QueueRefused } from "./nats-queue.ts";

const MAX_PAYLOAD_BYTES = 8 << 20;
/** How long a start may take, here and in the server itself: a large store on a slow disk takes its time. */
const START_TIMEOUT_MS = 60_000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/** A server that ran for so long was healthy: the next restart is quick again. */
const HEALTHY_MS = 10_000;
/** A server that has run for less than this is not replaced. */
const MIN_SERVICE_MS = 10_000;
/** The server's word that another one holds the store. */
const EXIT_STORE_HELD = 3;
/** For how long a store may be held by a server that is just ending. */
const HELD_PATIENCE_MS = 8_000;
const HELD_RETRY_MS = 500;
/** How long the words of a server that has ended may take to arrive. */
const LAST_WORDS_MS = 100;

/** The operating system did not start it. */
class CannotRun extends Error {
  override readonly name = "CannotRun";
}

export class EmbeddedServer {
  /** Where it could be run from last. */
  #path: string | undefined;
  #child: ChildProcess | undefined;
  #endpoint: Promise<NatsEndpoint> | undefined;
  #stopping = false;
  #startedMs = 0;
  /** Since when the child has been ready; undefined while there is none, or one that is starting or ending. */
  #readyMs: number | undefined;
  #backoffMs = 0;
  /** Since when another server is seen to hold the store. */
  #heldSinceMs: number | undefined;

  /** `places` prepare the server's path, the best first; `store` is its folder, `token` what clients must show. */
  constructor(
    private readonly places: readonly (() => string)[],
    private readonly store: string,
    private readonly token: string,
    private readonly report: Report,
  ) {}

  /** Undefined while none runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Where the server is; starts it, after a pause where the last one died early. Throws where it does not start. */
  endpoint(): Promise<NatsEndpoint> {
    if (this.#stopping) return Promise.reject(new Error("the node is stopping"));
    this.#endpoint ??= this.#start();
    return this.#endpoint;
  }

  /** Resolves when the server has ended; it is killed where it takes longer than `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const kill = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    child.stdin?.end();
    await ended;
    clearTimeout(kill);
  }

  /** The server hangs: ends it, unless it was started only a moment ago. The next endpoint() starts another. */
  replace(): void {
    const child = this.#child;
    if (!child || this.#readyMs === undefined || performance.now() - this.#readyMs < MIN_SERVICE_MS) return;
    this.#readyMs = undefined;
    this.report("warn", "nats-server does not respond: it is restarted", {
      event: "nats_server_replaced",
      pid: child.pid,
    });
    child.kill("SIGKILL"); // it may be stopped, and would not see anything else
  }

  /** Ends the server at once, with whatever it has not finished. */
  kill(): void {
    this.#stopping = true;
    this.#child?.kill("SIGKILL");
  }

  async #start(): Promise<NatsEndpoint> {
    try {
      if (this.#backoffMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#backoffMs));
      if (this.#stopping) throw new Error("the node is stopping");
      return await this.#run();
    } catch (error) {
      this.#endpoint = undefined;
      throw error;
    }
  }

  /** Runs it from where it ran before, or else from the first place that lets it. */
  async #run(): Promise<NatsEndpoint> {
    const known = this.#path;
    const failures: string[] = [];
    for (const place of known === undefined ? this.places : [() => known, ...this.places]) {
      try {
        this.#path = prepared(place);
        return await this.#spawn(this.#path);
      } catch (error) {
        if (!(error instanceof CannotRun)) throw error;
        this.#path = undefined;
        failures.push(error.message);
      }
    }
    throw new QueueRefused(
      `nats-server cannot be run from anywhere (${failures.join("; ")}): are these directories mounted noexec? ` +
        "Remount one of them without noexec, or use an external server (NATS_URL)",
    );
  }

  #spawn(path: string): Promise<NatsEndpoint> {
    const limits = ["-max-payload", String(MAX_PAYLOAD_BYTES), "-start-timeout", `${START_TIMEOUT_MS}ms`];
    const child = spawn(path, ["-store", this.store, ...limits], {
      argv0: "coffer-nats", // the path may be a number
      stdio: ["pipe", "pipe", "pipe"],
      env: { COFFER_NATS_TOKEN: this.token },
    });
    this.#child = child;
    this.#startedMs = performance.now();
    const errors: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      errors.push(line);
      if (errors.length > 20) errors.shift();
      this.report("warn", "nats-server reports", { event: "nats_server_output", line });
    });
    return new Promise<NatsEndpoint>((resolve, reject) => {
      const late = setTimeout(() => {
        errors.push(`it was not ready after ${START_TIMEOUT_MS} ms`);
        child.kill("SIGKILL"); // the next one may start when this one has let go of the store
      }, START_TIMEOUT_MS);
      createInterface({ input: child.stdout }).once("line", (line) => {
        clearTimeout(late);
        this.#heldSinceMs = undefined;
        this.#readyMs = performance.now();
        const { port } = JSON.parse(line) as { port: number };
        this.report("info", "nats-server started", { event: "nats_server_started", pid: child.pid, port });
        resolve({ servers: `127.0.0.1:${port}`, token: this.token });
      });
      child.once("error", (error) => {
        clearTimeout(late);
        this.#child = undefined;
        reject(new CannotRun(`${path}: ${(error as NodeJS.ErrnoException).code ?? error.message}`));
      });
      child.once("exit", (code, signal) => {
        clearTimeout(late);
        // What it said last may still be on its way.
        const said = new Promise<void>((heard) => child.once("close", () => heard()));
        const waited = new Promise<void>((over) => setTimeout(over, LAST_WORDS_MS));
        Promise.race([said, waited]).then(() => reject(this.#exited(code, signal, errors)), reject);
      });
    });
  }

  /** The next start may begin; what the caller of this one is told. */
  #exited(code: number | null, signal: string | null, errors: readonly string[]): Error {
    this.#endpoint = undefined;
    this.#readyMs = undefined;
    if (performance.now() - this.#startedMs > HEALTHY_MS) this.#backoffMs = 0;
    else this.#backoffMs = Math.min(Math.max(FIRST_BACKOFF_MS, this.#backoffMs * 2), MAX_BACKOFF_MS);
    if (code === EXIT_STORE_HELD) this.#backoffMs = Math.min(this.#backoffMs, HELD_RETRY_MS);
    if (this.#stopping) return new Error("the node is stopping");
    this.report("warn", "nats-server exited", {
      event: "nats_server_ended",
      code,
      signal,
      restartMs: this.#backoffMs,
    });
    const why = `nats-server exited with ${signal ?? code}: ${errors.at(-1) ?? "no output"}`;
    if (code !== EXIT_STORE_HELD) return new Error(why);
    this.#heldSinceMs ??= this.#startedMs;
    return performance.now() - this.#heldSinceMs > HELD_PATIENCE_MS ? new QueueRefused(why) : new Error(why);
  }
}

/** Throws CannotRun. */
function prepared(place: () => string): string {
  try {
    return place();
  } catch (error) {
    throw new CannotRun(error instanceof Error ? error.message : String(error));
  }
}
