/**
 * Judges a simulated node from outside: what callers were told against what is durable in events.log.
 *
 * It shares no code with src/: it reads the log by the table of its format, keeps balances of its own as
 * bigints, and knows only what was asked, what was answered, and the bytes on the disk.
 */

import { crc32 } from "node:zlib";

/** A command as its caller meant it. */
export interface Asked {
  readonly id: string;
  readonly kind: "transfer" | "deposit" | "withdraw" | "open_account";
  readonly from: string;
  readonly to: string;
  readonly amount: bigint;
}

/** How it ended for its caller. */
export interface Told {
  readonly status: "committed" | "rejected" | "conflict" | "exists";
  /** The number of the last line; undefined where the answer does not say. */
  readonly seq: number | undefined;
  readonly reason: string | undefined;
}

interface Decided extends Asked {
  readonly committed: boolean;
  readonly reason: string | undefined;
  readonly seq: number;
}

/** Something is wrong with the ledger: the simulation has failed. */
export class Violation extends Error {
  override readonly name = "Violation";
}

// biome-ignore lint/suspicious/noExplicitAny: lines are looked at field by field
type Line = any;

export class Auditor {
  readonly balances = new Map<string, bigint>();
  readonly #decided = new Map<string, Decided>();
  readonly #initial = new Map<string, bigint>();
  /** Of every id, what its first caller was told. */
  readonly #told = new Map<string, Told & { asked: string }>();
  /** The durable log as far as it was read, and where its last whole command ends. */
  #bytes: Uint8Array = new Uint8Array();
  #crc = 0;
  seq = 0;
  #lastCommand: readonly [number, number] = [0, -1];
  #lastAt = 0;

  /** Takes note of what has become durable. Nothing that was there before may have changed. */
  log(durable: Uint8Array): void {
    if (Buffer.compare(durable.subarray(0, this.#bytes.length), this.#bytes) !== 0) {
      throw new Violation("what was durable in events.log has changed or is gone");
    }
    let at = this.#bytes.length;
    let end = at;
    for (let lines: Line[] = []; ; ) {
      const newline = durable.indexOf(10, at);
      if (newline < 0) break;
      const text = Buffer.from(durable.subarray(at, newline)).toString("latin1");
      let line: Line;
      try {
        line = JSON.parse(text.replace(/"(amount|initial_balance)":([0-9]+)/g, '"$1":"$2"'));
      } catch {
        break; // a torn end: no promise was made about it yet
      }
      lines.push(line);
      at = newline + 1;
      if (line.crc === undefined) continue;
      const body = durable.subarray(end, newline - ',"crc":"00000000"}'.length);
      if (crc32(body, this.#crc).toString(16).padStart(8, "0") !== line.crc) break;
      this.#command(lines, line);
      this.#crc = Number.parseInt(line.crc, 16);
      lines = [];
      end = at;
    }
    if (end > this.#bytes.length) this.#bytes = durable.slice(0, end);
  }

  /** A caller was told how its command ended: it must stand so in the durable log, now. */
  answered(asked: Asked, told: Told): void {
    const decided = this.#decided.get(asked.id);
    const what = `${asked.kind} ${asked.id} of ${asked.amount} from ${asked.from} to ${asked.to}`;
    const sameContent = decided !== undefined && textOf(decided) === textOf(asked);
    if (told.status === "conflict") {
      if (!decided) throw new Violation(`${what} was called a conflict, but its id was never decided`);
      if (sameContent) throw new Violation(`${what} was called a conflict with itself`);
      return;
    }
    if (told.status === "exists") {
      if (asked.kind !== "open_account") throw new Violation(`${what} was told that an account exists`);
      if (!this.balances.has(asked.to)) throw new Violation(`${what} exists, but is not in the durable log`);
      return;
    }
    if (!decided) throw new Violation(`${what} was told ${told.status}, but nothing of it is durable`);
    if (!sameContent)
      throw new Violation(`${what} was told ${told.status}, but its id stands for something else`);
    if (decided.committed !== (told.status === "committed")) {
      throw new Violation(`${what} was told ${told.status}, but the log says otherwise`);
    }
    if (told.seq !== undefined && told.seq !== decided.seq)
      throw new Violation(`${what} was told seq ${told.seq}, but it has ${decided.seq}`);
    if (told.reason !== decided.reason)
      throw new Violation(`${what}: ${told.reason} was told, not ${decided.reason}`);
    const before = this.#told.get(asked.id);
    if (before && before.status !== told.status) {
      throw new Violation(`${what} was told ${told.status}, but ${before.status} before`);
    }
    this.#told.set(asked.id, { ...told, asked: textOf(asked) });
  }

  /** Everything that any caller was told still stands; called after a restart too. */
  all(): void {
    for (const [id, told] of this.#told) {
      const decided = this.#decided.get(id);
      if (!decided || textOf(decided) !== told.asked)
        throw new Violation(`transaction ${id} was acknowledged and is gone`);
    }
    let sum = 0n;
    for (const balance of this.balances.values()) sum += balance;
    if (sum !== 0n) throw new Violation(`the balances add up to ${sum}`);
  }

  isDecided(id: string): boolean {
    return this.#decided.has(id);
  }

  #command(lines: readonly Line[], last: Line): void {
    for (const line of lines) {
      if (line.seq !== ++this.seq) throw new Violation(`line ${this.seq} has the seq ${line.seq}`);
    }
    const [sequence, index] = String(last.command).split(".").map(Number) as [number, number];
    const [lastSequence, lastIndex] = this.#lastCommand;
    if (sequence < lastSequence || (sequence === lastSequence && index <= lastIndex)) {
      throw new Violation(`command ${last.command} stands after ${lastSequence}.${lastIndex}`);
    }
    this.#lastCommand = [sequence, index];
    if (last.at < this.#lastAt) throw new Violation(`time went back from ${this.#lastAt} to ${last.at}`);
    this.#lastAt = last.at;
    if (this.seq === 1) {
      if (last.type !== "LedgerOpened") throw new Violation("the log does not begin with its opening");
      return;
    }
    this.#decide(lines, last);
  }

  #decide(lines: readonly Line[], last: Line): void {
    const id = last.transaction_id;
    if (this.#decided.has(id)) throw new Violation(`transaction ${id} was decided twice`);
    const [first] = lines;
    const common = { id, seq: last.seq, reason: undefined };
    if (lines.length === 1 && first.type === "AccountOpened") {
      if (this.balances.has(first.account)) throw new Violation(`${first.account} was opened twice`);
      const amount = BigInt(first.initial_balance);
      this.#initial.set(first.account, amount);
      this.#move("@world", first.account, amount);
      this.#decided.set(id, {
        ...common,
        kind: "open_account",
        from: "@world",
        to: first.account,
        amount,
        committed: true,
      });
    } else if (lines.length === 1 && first.type === "TransactionFailed") {
      const { kind, from_account: from, to_account: to, reason } = first;
      const amount = BigInt(first.amount);
      if (reason === "insufficient_funds" && (this.balances.get(from) ?? 0n) >= amount) {
        throw new Violation(`transaction ${id} was rejected, but ${from} had the money`);
      }
      this.#decided.set(id, { id, seq: last.seq, kind, from, to, amount, committed: false, reason });
    } else if (lines.length === 2 && first.type === "MoneyDeducted" && last.type === "MoneyCredited") {
      if (first.transaction_id !== id || first.amount !== last.amount || first.account === last.account) {
        throw new Violation(`the two sides of transaction ${id} do not match`);
      }
      const [from, to] = [first.account, last.account];
      const kind = from === "@world" ? "deposit" : to === "@world" ? "withdraw" : "transfer";
      this.#move(from, to, BigInt(first.amount));
      this.#decided.set(id, { ...common, kind, from, to, amount: BigInt(first.amount), committed: true });
    } else {
      throw new Violation(`transaction ${id} has the events ${lines.map((line) => line.type).join(", ")}`);
    }
  }

  #move(from: string, to: string, amount: bigint): void {
    const left = (this.balances.get(from) ?? 0n) - amount;
    if (left < 0n && from !== "@world") throw new Violation(`${from} went down to ${left}`);
    this.balances.set(from, left);
    this.balances.set(to, (this.balances.get(to) ?? 0n) + amount);
  }
}

function textOf({ kind, from, to, amount }: Asked): string {
  return `${kind} ${from} ${to} ${amount}`;
}
