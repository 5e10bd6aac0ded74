/**
 * Replicas watch each other: every node reports where its log is, and stops when another's differs.
 *
 * On `coffer.positions`, once a second and at every connect: `{node, ledger_id, command, seq, crc}`. A node that
 * connects sends it before it looks at the stream, with a reply subject, which asks the others for theirs at once.
 * Such a node may be about to be refused, and anybody may start a copy of a ledger: so it counts only if it is
 * registered.
 */

import type { NatsConnection, PublishOptions } from "@nats-io/transport-node";
import { commandText, crcText, type LogPosition } from "../ports/log-position.ts";
import { listen } from "./inbound.ts";
import type { NodePosition } from "./other-nodes.ts";

export const POSITIONS_SUBJECT = "coffer.positions";
/** Nodes whose last position is kept. */
const MAX_NODES = 256;
/** More than any node publishes; it bounds what is kept. */
const MAX_CLAIM_BYTES = 4_096;
/**
 * How long a node that connects waits to hear from the others: after a server's restart they come back within
 * the longest pause between two attempts, and report once a second.
 */
const HEAR_TIMEOUT_MS = 3_000;

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
  /** Of each node, the claim that is furthest on the stream: kept for as long as this process lives. */
  readonly #furthest = new Map<string, Claim>();
  /** Called with the name of each node that is heard. */
  #heard: (node: string) => void = () => {};

  /**
   * `diverged` is called when another node's log differs, or cannot be compared: this one must stop.
   * `isRegistered`: whether a node that connects counts.
   */
  constructor(
    private readonly node: string,
    private readonly log: PositionsLog,
    private readonly isRegistered: (node: string) => boolean,
    private readonly diverged: (why: string) => void,
  ) {}

  /** Up to where nodes of this log's ledger have logged. Of any ledger while this log is empty. */
  get furthest(): readonly NodePosition[] {
    const { ledgerId } = this.log.durable;
    return [...this.#furthest.values()]
      .filter(({ ledger_id }) => ledgerId === undefined || ledger_id === ledgerId)
      .map((claim) => ({ node: claim.node, sequence: placeOf(claim)[0] }));
  }

  /**
   * Listens on a connection, sends this node's position there, and asks the others. Resolves with those of
   * `expected` that are silent, when all others were heard, or after HEAR_TIMEOUT_MS, or when `ended` does.
   */
  async join(
    connection: NatsConnection,
    expected: Iterable<string>,
    ended: Promise<unknown>,
  ): Promise<ReadonlySet<string>> {
    const silent = new Set(expected);
    const { promise: allHeard, resolve } = Promise.withResolvers<void>();
    this.#heard = (node) => {
      if (silent.delete(node) && silent.size === 0) resolve();
    };
    listen(
      connection,
      POSITIONS_SUBJECT,
      (message) => {
        // Its own too: a copied folder has the same name.
        const claim = claimOf(message.data);
        const isAsking = message.reply !== undefined && message.reply !== "";
        if (isAsking && claim?.node !== this.node) this.#publish(connection);
        if (claim && (!isAsking || this.isRegistered(claim.node))) this.#take(claim);
      },
      (error) => this.diverged(`the positions of other nodes cannot be read: ${error.message}`),
    );
    this.#publish(connection, { reply: POSITIONS_SUBJECT });
    if (silent.size > 0) {
      const timer = setTimeout(resolve, HEAR_TIMEOUT_MS);
      await Promise.race([allHeard, ended]);
      clearTimeout(timer);
    }
    return silent;
  }

  /** Called once a second, and when the log is opened. */
  tell(connection: NatsConnection): void {
    this.#publish(connection);
    for (const claim of [...this.#ahead.values()]) this.#compare(claim);
  }

  #publish(connection: NatsConnection, options?: PublishOptions): void {
    const { durable } = this.log;
    const { ledgerId: ledger_id, seq } = durable;
    if (ledger_id === undefined || connection.isClosed()) return;
    const { node } = this;
    const claim: Claim = { node, ledger_id, command: commandText(durable), seq, crc: crcText(durable.crc) };
    connection.publish(POSITIONS_SUBJECT, JSON.stringify(claim), options);
  }

  #take(claim: Claim): void {
    const { node, ledger_id } = claim;
    const { ledgerId = ledger_id } = this.log.durable;
    const before = this.#furthest.get(node);
    const isFurther = !before || placeOf(claim)[0] > placeOf(before)[0];
    // Of others than registered nodes no position counts as logged: anyone may publish here.
    if (isFurther && ledgerId === ledger_id && this.isRegistered(node)) this.#furthest.set(node, claim);
    this.#compare(claim);
    this.#heard(node);
  }

  #compare(claim: Claim): void {
    const { durable } = this.log;
    this.#ahead.delete(claim.node);
    if (durable.ledgerId === undefined || claim.ledger_id !== durable.ledgerId) return;
    if (claim.seq > durable.seq) {
      const [oldest] = this.#ahead.keys();
      if (this.#ahead.size >= MAX_NODES && oldest !== undefined) this.#ahead.delete(oldest);
      this.#ahead.set(claim.node, claim);
      return;
    }
    const crc = claim.command === commandText(durable) ? durable.crc : this.#crcAfter(claim);
    const here = crc === undefined ? "no such command" : crcText(crc);
    if (here !== claim.crc) {
      this.diverged(
        `node ${claim.node} has crc ${claim.crc} after command ${claim.command}, but this one has ${here}: the logs differ`,
      );
    }
  }

  #crcAfter(claim: Claim): number | undefined {
    return this.log.crcAt(...placeOf(claim));
  }
}

/** The message of a claim's command, and its index in it. */
function placeOf({ command }: Claim): [sequence: number, index: number] {
  return command.split(".").map(Number) as [number, number];
}

/** Up to where nodes report that they have logged; listens until all `expected` were heard, or HEAR_TIMEOUT_MS. */
export async function hearPositions(
  connection: NatsConnection,
  expected: Iterable<string>,
): Promise<ReadonlyMap<string, number>> {
  const reported = new Map<string, number>();
  const silent = new Set(expected);
  const { promise: allHeard, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, HEAR_TIMEOUT_MS);
  listen(
    connection,
    POSITIONS_SUBJECT,
    ({ data }) => {
      const claim = claimOf(data);
      if (!claim) return;
      reported.set(claim.node, placeOf(claim)[0]);
      silent.delete(claim.node);
      if (silent.size === 0) resolve();
    },
    () => resolve(),
  );
  await allHeard;
  clearTimeout(timer);
  return reported;
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
