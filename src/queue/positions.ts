/**
 * Replicas watch each other: every node tells where its log is, and stops when another's differs.
 *
 * On `coffer.positions`, once a second and at every connect: `{node, ledger_id, command, seq, crc}`.
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { commandText, crcText, type LogPosition } from "../ports/log-position.ts";
import { listen } from "./inbound.ts";

export const POSITIONS_SUBJECT = "coffer.positions";
/** Nodes whose last word is kept until this log has come so far. */
const MAX_NODES = 256;
/** More than any node publishes; it bounds what is kept. */
const MAX_CLAIM_BYTES = 4_096;

interface Claim {
  readonly node: string;
  readonly ledger_id: string;
  readonly command: string;
  readonly seq: number;
  readonly crc: string;
}

export interface PositionsLog {
  readonly durable: LogPosition;
  /** The crc after a command that is in the log; undefined where it wrote nothing. */
  crcAt(sequence: number, index: number): number | undefined;
}

export class Positions {
  /** Of each node, its last claim that is still ahead of this log. */
  readonly #ahead = new Map<string, Claim>();

  /** `diverged` is told when another node's log differs, or cannot be compared: this one must stop. */
  constructor(
    private readonly node: string,
    private readonly log: PositionsLog,
    private readonly diverged: (why: string) => void,
  ) {}

  /** Listens on a connection, and tells this node's position there. */
  join(connection: NatsConnection): void {
    listen(
      connection,
      POSITIONS_SUBJECT,
      (message) => {
        const claim = claimOf(message.data);
        // Its own too: a copied folder has the same name.
        if (claim) this.#compare(claim);
      },
      (error) => this.diverged(`the positions of other nodes cannot be read: ${error.message}`),
    );
    this.tell(connection);
  }

  /** Called once a second. */
  tell(connection: NatsConnection): void {
    const { durable } = this.log;
    if (durable.ledgerId !== undefined && !connection.isClosed()) {
      const { ledgerId: ledger_id, seq } = durable;
      const claim: Claim = {
        node: this.node,
        ledger_id,
        command: commandText(durable),
        seq,
        crc: crcText(durable.crc),
      };
      connection.publish(POSITIONS_SUBJECT, JSON.stringify(claim));
    }
    for (const claim of [...this.#ahead.values()]) this.#compare(claim);
  }

  #compare(claim: Claim): void {
    const { durable } = this.log;
    this.#ahead.delete(claim.node);
    if (durable.ledgerId === undefined || claim.ledger_id !== durable.ledgerId) return;
    if (claim.seq > durable.seq) {
      if (this.#ahead.size < MAX_NODES) this.#ahead.set(claim.node, claim);
      return;
    }
    const crc = claim.command === commandText(durable) ? durable.crc : this.#crcAfter(claim.command);
    const here = crc === undefined ? "no such command" : crcText(crc);
    if (here !== claim.crc) {
      this.diverged(
        `node ${claim.node} has crc ${claim.crc} after command ${claim.command}, this one has ${here}: the logs differ`,
      );
    }
  }

  #crcAfter(command: string): number | undefined {
    const [sequence, index] = command.split(".").map(Number) as [number, number];
    return this.log.crcAt(sequence, index);
  }
}

function claimOf(data: Uint8Array): Claim | undefined {
  if (data.length > MAX_CLAIM_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined; // not a node's word
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { node, ledger_id, command, seq, crc } = value as Record<string, unknown>;
  if (
    typeof node !== "string" ||
    typeof ledger_id !== "string" ||
    typeof command !== "string" ||
    typeof crc !== "string"
  )
    return undefined;
  if (!Number.isSafeInteger(seq) || !/^[0-9]{1,15}\.[0-9]{1,15}$/.test(command) || !/^[0-9a-f]{8}$/.test(crc))
    return undefined;
  return { node, ledger_id, command, seq: seq as number, crc };
}
