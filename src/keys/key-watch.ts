/**
 * Who may call a node, as its folder's keys.json says it, looked at once a second while the node runs.
 *
 * | keys.json | at the start | while the node runs |
 * |---|---|---|
 * | is not there and never was | no keys are asked for | the same |
 * | is there, even without a key | its keys count | its keys count |
 * | is gone | the node does not start while there is a keys.lock | nobody is let in until it is there again |
 * | is broken, or cannot be read | the node does not start | the last good keys count; none where there were none |
 *
 * The last good keys go on because an editor that writes in place is seen half way: each such change would shut
 * out every caller. Nobody believes that a key was revoked then: `coffer keys` refuses a broken file, and the
 * log tells of it. A file that is gone was taken away by someone, and is answered the safe way.
 */

import { statSync } from "node:fs";
import { join } from "node:path";
import type { KeyRecord, KeysInForce } from "../ports/keys.ts";
import type { NodeEvent, NodeLog } from "../ports/node-log.ts";
import { BrokenKeyFile, KEYS_NAME, readKeys } from "./key-file.ts";

const LOOK_INTERVAL_MS = 1_000;
/** A file that was changed so shortly before it was read may have changed again without another time of its own. */
const SAME_TIME_MS = 2_000;
/** How often the log is told that nobody is let in, or that the file is broken. */
const TELL_INTERVAL_MS = 60_000;

export type KeyWatchLog = Pick<NodeLog, "info" | "error">;

export class KeyWatch {
  #inForce: KeysInForce;
  /** By which a changed file is known; undefined where it must be read again. */
  #seen: string | undefined;
  #wrong: { readonly event: NodeEvent; readonly message: string } | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Throws BrokenKeyFile. */
  constructor(private readonly data: string) {
    this.#seen = this.#look();
    this.#inForce = readKeys(data) ?? "everyone";
  }

  get inForce(): KeysInForce {
    return this.#inForce;
  }

  /** Calls `changed` with every change from now on, until close(). */
  start(log: KeyWatchLog, changed: (keys: KeysInForce) => void): void {
    this.#timer = setInterval(() => this.check(log, changed), LOOK_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Looks once. */
  check(log: KeyWatchLog, changed: (keys: KeysInForce) => void): void {
    const seen = this.#look();
    if (seen === undefined || seen !== this.#seen) {
      this.#seen = seen;
      const keys = this.#read();
      if (keys !== undefined && !areSame(keys, this.#inForce)) {
        this.#inForce = keys;
        log.info({ event: "keys_changed", keys: keys.length }, "the keys have changed");
        changed(keys);
      }
    }
    this.#tell(log);
  }

  /** Undefined where nothing changes. */
  #read(): readonly KeyRecord[] | undefined {
    let keys: readonly KeyRecord[] | undefined;
    this.#wrong = undefined;
    try {
      keys = readKeys(this.data);
    } catch (error) {
      if (!(error instanceof BrokenKeyFile)) throw error;
      const none = this.#inForce === "everyone" || this.#inForce.length === 0;
      const effect = none ? "all requests are refused" : "the keys that were read before stay valid";
      this.#wrong = { event: "keys_file_broken", message: `${error.message}; ${effect}` };
      return this.#inForce === "everyone" ? [] : undefined;
    }
    if (keys !== undefined) return keys;
    const message = `${join(this.data, KEYS_NAME)} is missing: all requests are refused until it is restored`;
    this.#wrong = { event: "keys_file_missing", message };
    return [];
  }

  /** At once, and then now and again. */
  #tell(log: KeyWatchLog): void {
    const nowMs = performance.now();
    if (this.#wrong === undefined) this.#toldMs = Number.NEGATIVE_INFINITY;
    else if (nowMs - this.#toldMs >= TELL_INTERVAL_MS) {
      log.error({ event: this.#wrong.event }, this.#wrong.message);
      this.#toldMs = nowMs;
    }
  }

  #look(): string | undefined {
    try {
      const stat = statSync(join(this.data, KEYS_NAME), { bigint: true, throwIfNoEntry: false });
      if (!stat) return "gone";
      const { ino, size, mtimeNs, ctimeNs, ctimeMs } = stat;
      const isFresh = Date.now() - Number(ctimeMs) < SAME_TIME_MS;
      return isFresh ? undefined : `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    } catch {
      return undefined; // reading it tells why
    }
  }
}

function areSame(keys: readonly KeyRecord[], inForce: KeysInForce): boolean {
  return JSON.stringify(keys) === JSON.stringify(inForce);
}
