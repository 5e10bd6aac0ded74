/**
 * Judges simulated nodes from outside: what callers were told against what is durable in each events.log.
 *
 * It shares no code with src/: it reads the logs by the table of their format, keeps balances of its own as
 * bigints, and knows only what was asked, what was answered, and the bytes on the disks. The nodes of one ledger
 * write one log: each must have the beginning of the longest, byte by byte.
 */

import { crc32 } from "node:zlib";
import { FirstAnswers } from "../../tools/harness/first-answers.ts";

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
  /** Undefined where the answer does not say, as all that follows. */
  readonly seq?: number | undefined;
  readonly reason?: string | undefined;
  readonly replayed?: boolean | undefined;
  readonly fromBalance?: bigint | undefined;
  readonly toBalance?: bigint | undefined;
}

/** What a batch's answer counts. */
export interface ToldCounts {
  readonly committed: number;
  readonly replayed: number;
}

interface Decided extends Asked {
  readonly committed: boolean;
  readonly reason: string | undefined;
  readonly seq: number;
  /** Right after it. */
  readonly fromBalance: bigint;
  readonly toBalance: bigint;
  /** It opened the receiver's account. */
  readonly opens: boolean;
}

/** The end of a command in the log. */
interface CommandEnd {
  readonly bytes: number;
  readonly seq: number;
  readonly crc: number;
  /** Its transaction; undefined for the ledger's opening. */
  readonly id: string | undefined;
  readonly command: readonly [sequence: number, index: number];
  readonly at: number;
}

/** One node's log as far as it was read. */
interface ReadLog {
  version: string;
  /** How many commands it has. */
  commands: number;
}

/** Something is wrong with the ledger: the simulation has failed. */
export class Violation extends Error {
  override readonly name = "Violation";
}

// biome-ignore lint/suspicious/noExplicitAny: lines are looked at field by field
type Line = any;

const CRC_LENGTH = ',"crc":"00000000"}'.length + 1;
const BEGIN: CommandEnd = { bytes: 0, seq: 0, crc: 0, id: undefined, command: [0, -1], at: 0 };

export class Auditor {
  readonly balances = new Map<string, bigint>();
  readonly #decided = new Map<string, Decided>();
  /** Of every id, what its first caller was told. */
  readonly #told = new Map<string, Told & { asked: string }>();
  readonly #firstAnswers = new FirstAnswers();
  /** Of every id, how many requests with it were not told that they never entered the queue. */
  readonly #mayBeDecided = new Map<string, number>();
  /** Ids of which an answer was lost, or did not say whether it was the first. */
  readonly #unclear = new Set<string>();
  /** The longest log, and the ends of its commands. */
  #bytes = Buffer.alloc(1 << 12);
  readonly #ends: CommandEnd[] = [BEGIN];
  readonly #logs = new Map<string, ReadLog>();

  /** The last event of the longest log. */
  get seq(): number {
    return this.#end.seq;
  }

  /** The last event that is durable on a node. */
  seqOf(node: string): number {
    return this.#endOf(this.#read(node)).seq;
  }

  /** Bytes of a node's log up to the end of its last durable command. */
  bytesOf(node: string): number {
    return this.#endOf(this.#read(node)).bytes;
  }

  /** Takes note of what has become durable on a node. Nothing that was there before may have changed. */
  log(node: string, durable: Uint8Array, version: string): void {
    const log = this.#read(node);
    if (log.version === version) return;
    log.version = version;
    const { bytes } = this.#endOf(log);
    if (Buffer.compare(durable.subarray(0, bytes), this.#bytes.subarray(0, bytes)) !== 0)
      throw new Violation(`what was durable in the log of ${node} has changed or is gone`);
    while (this.#follow(log, durable) || this.#readCommand(node, log, durable)) log.commands++;
  }

  /** An operator has put another log into a node's folder. */
  replaced(node: string): void {
    this.#logs.delete(node);
  }

  /** A node has another log, and the longest one ends at `bytes` now: nothing of what is missing may have been told. */
  cut(node: string, bytes: number): void {
    for (let { id, bytes: end } = this.#end; end > bytes; { id, bytes: end } = this.#end) {
      this.#ends.pop();
      const decided = id === undefined ? undefined : this.#decided.get(id);
      if (!decided || this.#told.has(decided.id))
        throw new Violation(`what was acknowledged is missing in the log of ${node}: transaction ${id}`);
      this.#decided.delete(decided.id);
      if (!decided.committed) continue;
      this.#move(decided.to, -decided.amount);
      this.#move(decided.from, decided.amount);
      if (decided.opens) this.balances.delete(decided.to);
    }
    this.replaced(node);
  }

  /** Callers ask for these, in one request. */
  asked(request: readonly Asked[]): void {
    for (const id of idsOf(request)) this.#mayBeDecided.set(id, (this.#mayBeDecided.get(id) ?? 0) + 1);
  }

  /** The request was told that it never entered the queue. */
  refused(request: readonly Asked[]): void {
    for (const id of idsOf(request)) {
      const left = (this.#mayBeDecided.get(id) ?? 0) - 1;
      this.#mayBeDecided.set(id, left);
      if (left === 0 && this.#decided.has(id)) throw decidedThoughRefused(id);
    }
  }

  /** Nobody knows what became of the request. */
  unanswered(request: readonly Asked[]): void {
    for (const { id } of request) this.#unclear.add(id);
  }

  /** What a node's caller was told of each command of its request; `counts` where they are a batch. */
  answered(node: string, request: readonly Asked[], told: readonly Told[], counts?: ToldCounts): void {
    const done = new Set<string>();
    for (const [index, asked] of request.entries()) {
      const one = told[index] as Told;
      this.#answered(node, asked, one);
      if (!counts) continue;
      if (one.status === "committed") done.add(asked.id);
      if (one.status === "rejected") this.#unclear.add(asked.id);
    }
    if (counts && !this.#firstAnswers.decided([...done], counts.committed))
      throw new Violation(
        `a batch says that it committed ${counts.committed} of ${[...done].join(", ")}: others did so before`,
      );
  }

  /** A caller was told how its command ended: it must be so in the node's durable log, now. */
  #answered(node: string, asked: Asked, told: Told): void {
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
    if (!decided || decided.seq > this.seqOf(node))
      throw new Violation(`${what} was told ${told.status}, but nothing of it is durable`);
    if (!sameContent)
      throw new Violation(`${what} was told ${told.status}, but its id stands for something else`);
    if (decided.committed !== (told.status === "committed")) {
      throw new Violation(`${what} was told ${told.status}, but the log says otherwise`);
    }
    if (told.seq !== undefined && told.seq !== decided.seq)
      throw new Violation(`${what} was told seq ${told.seq}, but it has ${decided.seq}`);
    if (told.replayed === false) this.#first(decided, told);
    if (told.reason !== decided.reason)
      throw new Violation(`${what}: ${told.reason} was told, not ${decided.reason}`);
    const before = this.#told.get(asked.id);
    if (before && before.status !== told.status) {
      throw new Violation(`${what} was told ${told.status}, but ${before.status} before`);
    }
    this.#told.set(asked.id, { ...told, asked: textOf(asked) });
  }

  /** One answer decided it, and has the balances that it left. */
  #first(decided: Decided, { status, fromBalance, toBalance }: Told): void {
    const { id, seq } = decided;
    if (!this.#firstAnswers.decided([id], 1))
      throw new Violation(`transaction ${id} has two answers that say they decided it`);
    if (status !== "committed") return;
    if (fromBalance !== undefined && fromBalance !== decided.fromBalance)
      throw new Violation(
        `transaction ${id} was told from_balance ${fromBalance}, seq ${seq} left ${decided.fromBalance}`,
      );
    if (toBalance !== undefined && toBalance !== decided.toBalance)
      throw new Violation(
        `transaction ${id} was told to_balance ${toBalance}, seq ${seq} left ${decided.toBalance}`,
      );
  }

  /** Everything that any caller was told still holds, when every answer has been read. */
  all(): void {
    const needsFirst = (id: string) => this.#told.has(id) && !this.#unclear.has(id);
    for (const id of this.#told.keys()) {
      if (needsFirst(id) && !this.#firstAnswers.has(id, needsFirst))
        throw new Violation(`transaction ${id}: every answer says that it is a repeat`);
    }
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

  get #end(): CommandEnd {
    return this.#ends[this.#ends.length - 1] as CommandEnd;
  }

  #endOf({ commands }: ReadLog): CommandEnd {
    return this.#ends[commands] as CommandEnd;
  }

  #read(node: string): ReadLog {
    let log = this.#logs.get(node);
    if (!log) {
      log = { version: "", commands: 0 };
      this.#logs.set(node, log);
    }
    return log;
  }

  /** Whether a node's log goes on as another one did. */
  #follow(log: ReadLog, durable: Uint8Array): boolean {
    const next = this.#ends[log.commands + 1];
    if (!next || next.bytes > durable.length) return false;
    const { bytes } = this.#endOf(log);
    return Buffer.compare(durable.subarray(bytes, next.bytes), this.#bytes.subarray(bytes, next.bytes)) === 0;
  }

  /** Reads one more command; false where none is whole yet. */
  #readCommand(node: string, log: ReadLog, durable: Uint8Array): boolean {
    const start = this.#endOf(log);
    const lines: Line[] = [];
    for (let at = start.bytes; ; ) {
      const newline = durable.indexOf(10, at);
      if (newline < 0) return false;
      const text = Buffer.from(durable.buffer, durable.byteOffset + at, newline - at).toString("latin1");
      let line: Line;
      try {
        line = JSON.parse(text.replace(/"(amount|initial_balance)":([0-9]+)/g, '"$1":"$2"'));
      } catch {
        return false; // a torn end: no promise was made about it yet
      }
      lines.push(line);
      at = newline + 1;
      if (line.crc === undefined) continue;
      const crc = crc32(durable.subarray(start.bytes, at - CRC_LENGTH), start.crc);
      if (crc.toString(16).padStart(8, "0") !== line.crc) return false;
      if (start !== this.#end) throw new Violation(`the log of ${node} forks after seq ${start.seq}`);
      this.#append(durable.subarray(start.bytes, at), start.bytes);
      const command = this.#command(lines, line, start);
      const { transaction_id: id, at: atMs } = line;
      this.#ends.push({ bytes: at, seq: start.seq + lines.length, crc, id, command, at: atMs });
      return true;
    }
  }

  #append(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.#bytes.length) {
      const larger = Buffer.alloc(2 * (at + bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, at);
  }

  /** Returns its place on the stream. */
  #command(lines: readonly Line[], last: Line, before: CommandEnd): CommandEnd["command"] {
    for (const [index, line] of lines.entries()) {
      if (line.seq !== before.seq + index + 1)
        throw new Violation(`line ${before.seq + index + 1} has the seq ${line.seq}`);
    }
    const command = String(last.command).split(".").map(Number) as [number, number];
    const [sequence, index] = command;
    const [lastSequence, lastIndex] = before.command;
    if (sequence < lastSequence || (sequence === lastSequence && index <= lastIndex)) {
      throw new Violation(`command ${last.command} stands after ${lastSequence}.${lastIndex}`);
    }
    if (last.at < before.at) throw new Violation(`time went back from ${before.at} to ${last.at}`);
    if (before.seq > 0) this.#decide(lines, last);
    else if (last.type !== "LedgerOpened") throw new Violation("the log does not begin with its opening");
    return command;
  }

  #decide(lines: readonly Line[], last: Line): void {
    const id = last.transaction_id;
    if (this.#decided.has(id)) throw new Violation(`transaction ${id} was decided twice`);
    if (!this.#mayBeDecided.get(id)) throw decidedThoughRefused(id);
    const [first] = lines;
    const note = (asked: Omit<Asked, "id">, reason?: string) => {
      const { from, to, amount } = asked;
      const moved = reason === undefined ? amount : 0n;
      const opens = moved > 0n && !this.balances.has(to);
      const fromBalance = this.#move(from, -moved);
      const toBalance = this.#move(to, moved);
      const committed = reason === undefined;
      this.#decided.set(id, {
        ...asked,
        id,
        seq: last.seq,
        reason,
        committed,
        fromBalance,
        toBalance,
        opens,
      });
    };
    if (lines.length === 1 && first.type === "AccountOpened") {
      if (this.balances.has(first.account)) throw new Violation(`${first.account} was opened twice`);
      const amount = BigInt(first.initial_balance);
      note({ kind: "open_account", from: "@world", to: first.account, amount });
    } else if (lines.length === 1 && first.type === "TransactionFailed") {
      const { kind, from_account: from, to_account: to, reason } = first;
      const amount = BigInt(first.amount);
      if (reason === "insufficient_funds" && (this.balances.get(from) ?? 0n) >= amount) {
        throw new Violation(`transaction ${id} was rejected, but ${from} had the money`);
      }
      note({ kind, from, to, amount }, reason);
    } else if (lines.length === 2 && first.type === "MoneyDeducted" && last.type === "MoneyCredited") {
      if (first.transaction_id !== id || first.amount !== last.amount || first.account === last.account) {
        throw new Violation(`the two sides of transaction ${id} do not match`);
      }
      const [from, to] = [first.account, last.account];
      const kind = from === "@world" ? "deposit" : to === "@world" ? "withdraw" : "transfer";
      note({ kind, from, to, amount: BigInt(first.amount) });
    } else {
      throw new Violation(`transaction ${id} has the events ${lines.map((line) => line.type).join(", ")}`);
    }
  }

  /** Returns the balance after it; an account that was never opened stays so where nothing moves. */
  #move(account: string, amount: bigint): bigint {
    const balance = (this.balances.get(account) ?? 0n) + amount;
    if (balance < 0n && account !== "@world") throw new Violation(`${account} went down to ${balance}`);
    if (amount !== 0n) this.balances.set(account, balance);
    return balance;
  }
}

function idsOf(request: readonly Asked[]): ReadonlySet<string> {
  return new Set(request.map(({ id }) => id));
}

function decidedThoughRefused(id: string): Violation {
  return new Violation(`transaction ${id} was decided, but all who asked were told that it was not taken`);
}

function textOf({ kind, from, to, amount }: Asked): string {
  return `${kind} ${from} ${to} ${amount}`;
}
