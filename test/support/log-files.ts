/**
 * Logs on a real disk: written as a node writes them, or by hand from the documentation of the format; damaged,
 * recovered and looked at.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Command } from "../../src/domain/commands/commands.ts";
import type { WalletEvent } from "../../src/domain/events.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogFiles } from "../../src/eventlog/log-files.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { LOG_NAME, type RecoveredLog, recoverLog } from "../../src/eventlog/recovery.ts";
import { EventLogWriter } from "../../src/eventlog/writer.ts";
import type { DataFolder } from "../../src/ports/append-file.ts";
import type { LoggedCommand } from "../../src/ports/log-feed.ts";
import { EMPTY_LOG, type LogPosition } from "../../src/ports/log-position.ts";
import { memoryFolder } from "../../tools/harness/folders.ts";
import { deposit, id, openAccount, openLedger, transfer, withdraw } from "./ledger-specs.ts";
import { ManualClock } from "./manual-clock.ts";

/** The time of the first command of test logs, ms since 1970. */
export const FIRST_AT = 1_795_243_425_000;

/** A command and its place on the stream. */
export interface Placed {
  readonly command: Command;
  readonly at: number;
  readonly sequence: number;
  readonly index: number;
}

/** Places commands on a stream, `perMessage` of them in each message, 7 ms apart. */
export function place(commands: readonly Command[], perMessage = 3): Placed[] {
  return commands.map((command, number) => {
    const message = Math.floor(number / perMessage);
    return { command, at: FIRST_AT + 7 * message, sequence: message + 1, index: number % perMessage };
  });
}

/** An opening and `count` commands: openings, transfers, rejections and repeats, in two currencies, some huge. */
export function someCommands(count: number, draw: (below: number) => number): Command[] {
  const commands: Command[] = [openLedger()];
  const name = () => `account-${draw(20)}`;
  for (let number = 1; number <= count; number++) {
    const more = {
      id: id(draw(20) === 0 ? draw(number) + 1 : number),
      currency: draw(5) === 0 ? "EUR" : "USD",
    };
    const [from, to] = [name(), name()];
    const value = draw(10) === 0 ? 2n ** 53n - 60n + BigInt(draw(1_000)) : draw(500) + 1;
    const kind = draw(10);
    if (kind === 0) commands.push(openAccount(to, value, more));
    else if (kind < 4) commands.push(deposit(to, value, more));
    else if (kind === 4) commands.push(withdraw(from, value, more));
    else commands.push(transfer(from, from === to ? `${to}-2` : to, value, more));
  }
  return commands;
}

/** A ledger's folder as a node works on it: recovery, engine, writer, mark. */
export class LogOnDisk {
  readonly engine = new WalletEngine();
  readonly events: WalletEvent[] = [];
  readonly clock = new ManualClock();
  readonly marked: LogPosition[] = [];
  readonly failures: Error[] = [];
  recovered: RecoveredLog | undefined;
  #writer: EventLogWriter | undefined;

  private constructor(readonly folder: string) {}

  /** Recovers the folder's log, and is ready to append to it. */
  static async open(folder: string, disk: DataFolder = new DiskFolder(folder)): Promise<LogOnDisk> {
    const log = new LogOnDisk(folder);
    const mark = LogMark.open(disk);
    log.recovered = await recoverLog(disk, mark.found, {
      command: ({ events }) => log.#apply(events),
    }).catch((error) => {
      mark.close();
      throw error;
    });
    log.#writer = new EventLogWriter(
      new LogFiles(disk, log.recovered.file, mark),
      log.recovered.position,
      log.engine.ledger.opened?.currency,
      log.clock,
      (position) => log.marked.push(position),
      (error) => log.failures.push(error),
    );
    return log;
  }

  get writer(): EventLogWriter {
    if (!this.#writer) throw new TypeError("the log is not open");
    return this.#writer;
  }

  get position(): LogPosition {
    return this.writer.position;
  }

  /** Decides a command, and adds what it writes. */
  decide({ command, at, sequence, index }: Placed): void {
    const events = this.engine.execute(command);
    this.#apply(events);
    if (events.length > 0) this.writer.add(events, at, sequence, index);
  }

  /** Decides those of the commands that come after the log's last one; each is a batch of its own. */
  async goOn(commands: readonly Placed[]): Promise<void> {
    const { sequence, index } = this.position;
    for (const placed of commands) {
      if (placed.sequence < sequence || (placed.sequence === sequence && placed.index <= index)) continue;
      this.decide(placed);
    }
    await this.writer.commit();
  }

  close(): Promise<void> {
    return this.writer.close();
  }

  #apply(events: readonly WalletEvent[]): void {
    if (events.length > 0) this.engine.apply(events);
    this.events.push(...events);
  }
}

/** What a log holds, and where each of its commands ends. */
export interface WrittenLog {
  readonly bytes: Buffer;
  /** Of each command that wrote. */
  readonly ends: readonly LogPosition[];
  readonly commands: readonly Placed[];
}

/** Writes these commands as a node would, and returns the log. */
export async function writeLog(commands: readonly Placed[]): Promise<WrittenLog> {
  const folder = memoryFolder();
  const log = await LogOnDisk.open(folder);
  const ends: LogPosition[] = [];
  for (const placed of commands) {
    log.decide(placed);
    if (log.position.seq > (ends.at(-1)?.seq ?? 0)) ends.push(log.position);
  }
  await log.writer.commit();
  await log.close();
  const bytes = readFileSync(join(folder, LOG_NAME));
  rmSync(folder, { recursive: true });
  return { bytes, ends, commands };
}

/** Makes the folder hold these files and no other. */
export function putFiles(folder: string, files: Readonly<Record<string, Uint8Array | string>>): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}

/** Every file of a folder, by its name. */
export function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "latin1")]));
}

/** The bytes of a mark that says this. */
export async function markOf(position: LogPosition): Promise<Buffer> {
  const folder = memoryFolder();
  const mark = LogMark.open(new DiskFolder(folder));
  await mark.write(position);
  mark.close();
  const bytes = readFileSync(join(folder, "events.mark"));
  rmSync(folder, { recursive: true });
  return bytes;
}

type Fields = Readonly<Record<string, unknown>>;

/** A log written by the documentation of its format alone. Shares no code with src/. */
export class HandwrittenLog {
  #text = "";
  #seq = 0;
  #crc = 0;
  #last = EMPTY_LOG;
  readonly ends: LogPosition[] = [];

  /** One command: the fields of its events after `seq`, in their order; `at`, `command` and `crc` are added. */
  command(events: readonly Fields[], at: number, command: `${number}.${number}`): this {
    const lines = events.map((fields) => textOf({ seq: ++this.#seq, ...fields }));
    const last = `${lines.pop()?.slice(0, -1)},"at":${at},"command":"${command}"`;
    return this.raw([...lines, last].join("\n"), { at, command });
  }

  /** The text of a command up to its crc, which is added. */
  raw(text: string, end: { at: number; command: `${number}.${number}` }): this {
    this.#crc = crc32(text, this.#crc);
    this.#text += `${text},"crc":"${this.#crc.toString(16).padStart(8, "0")}"}\n`;
    this.#seq = this.#text.split("\n").length - 1;
    const [sequence, index] = end.command.split(".").map(Number) as [number, number];
    this.#last = {
      seq: this.#seq,
      bytes: this.#text.length,
      sequence,
      index,
      crc: this.#crc,
      at: end.at,
      ledgerId: openLedgerId,
    };
    this.ends.push(this.#last);
    return this;
  }

  get text(): string {
    return this.#text;
  }

  get end(): LogPosition {
    return this.#last;
  }
}

const opening = openLedger();
const openLedgerId = opening.kind === "open_ledger" ? opening.ledger_id : undefined;

function textOf(fields: Fields): string {
  const text = JSON.stringify(fields, (_, value) => (typeof value === "bigint" ? `bigint ${value}` : value));
  return text.replace(/"bigint (-?[0-9]+)"/g, "$1");
}

/** Collects the commands that a reading visits. */
export function collector() {
  const commands: LoggedCommand[] = [];
  return {
    commands,
    command: (command: LoggedCommand) => {
      commands.push(command);
    },
    get events() {
      return commands.flatMap(({ events }) => events);
    },
  };
}
