import type { WalletEvent } from "../domain/events.ts";
import type { LogPosition } from "./log-position.ts";

/** The log as the engine writes it: commands are added one by one and committed together. */
export interface EventLog {
  /** With everything that was added. */
  readonly position: LogPosition;
  /** With everything that is on disk. */
  readonly durable: LogPosition;
  /** Adds a command's events; `at` in ms since 1970. */
  add(events: readonly WalletEvent[], at: number, sequence: number, index: number): void;
  /** Adds the events of a committed transfer of a safe integer, whose command is at `place` of a frame. */
  addTransfer(
    frame: Uint8Array,
    place: number,
    amount: number,
    at: number,
    sequence: number,
    index: number,
  ): void;
  /** Resolves when everything that was added before the call is on disk. Throws for ever after the first failure. */
  commit(): Promise<void>;
  /** Throws after the first failure, of which a file that is lost is one: then nothing may be answered. */
  look(): void;
  /** Nothing has come for a while: what is on disk may be noted as such. */
  rest(): void;
}
