/**
 * Judges, before anything is published or consumed, whether the stream still is the one that the log was
 * made from. Pure; nats-queue.ts gathers what it needs and does what it says.
 *
 * | found | verdict |
 * |---|---|
 * | no stream, and nothing was ever consumed | `create` |
 * | the ledger of another log, or none at all | `another` |
 * | an empty log, and the stream's beginning is gone | `refuse` |
 * | the stream's metadata says that it continues exactly this position and crc | `continue` |
 * | the last message taken by this process (else the last one logged) stands where it stood | `continue` |
 * | one of these two, but the message after it is gone, and later ones came | `gap` |
 * | neither, but it did reach that far and has dropped messages that were not consumed | `gap` |
 * | neither | `lost`: its tail is gone, whatever its last number is |
 */

import { commandText, crcText, type LogPosition } from "../ports/log-position.ts";

export const METADATA = {
  ledgerId: "ledger_id",
  /** The log's last command ("<sequence>.<index>") and crc when the stream was made anew, and its first number. */
  continuesCommand: "continues_command",
  continuesCrc: "continues_crc",
  continuesAt: "continues_at",
} as const;

export interface StreamFacts {
  readonly metadata: Readonly<Record<string, string>>;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Whether the message at `lastKnown` is the one that it was; false where it is another or is not there. */
  readonly holdsLastKnown: boolean;
  /** The first message after `lastKnown` that the stream holds; undefined where it holds none. */
  readonly firstAfterKnown: number | undefined;
}

export interface QueueFacts {
  /** Undefined where the stream does not exist. */
  readonly stream: StreamFacts | undefined;
  readonly log: LogPosition;
  /** The last message that this process took; undefined before the first. */
  readonly taken: number | undefined;
}

export type Verdict =
  | { readonly do: "create" }
  | { readonly do: "continue"; readonly next: number }
  /** `missing`: the numbers of the first and the last message that are gone, as --accept-gap takes them. */
  | { readonly do: "gap"; readonly next: number; readonly missing: string; readonly why: string }
  | { readonly do: "lost"; readonly next: number; readonly why: string }
  | { readonly do: "another"; readonly next: number; readonly why: string }
  | { readonly do: "refuse"; readonly why: string };

/** The last message that the node knows: that which is looked up for `holdsLastKnown`. 0 for none. */
export function lastKnown({ log, taken }: Pick<QueueFacts, "log" | "taken">): number {
  return taken ?? log.sequence;
}

export function judgeStream({ stream, log, taken }: QueueFacts): Verdict {
  const known = lastKnown({ log, taken });
  const next = known + 1;
  if (!stream) {
    return known === 0 ? { do: "create" } : { do: "lost", next, why: "the stream does not exist" };
  }
  const { metadata, firstSequence, lastSequence, holdsLastKnown, firstAfterKnown } = stream;
  const ledgerId = metadata[METADATA.ledgerId];
  if (ledgerId === undefined)
    return { do: "another", next, why: "the stream was not created by Coffer: it has no ledger_id" };
  if (log.ledgerId !== undefined && ledgerId !== log.ledgerId) {
    return {
      do: "another",
      next,
      why: `the stream belongs to ledger ${ledgerId}, but this directory to ${log.ledgerId}`,
    };
  }
  const continuation = continuationOf(metadata, log);
  const from =
    continuation !== undefined && known < continuation
      ? continuation
      : holdsLastKnown || known === 0
        ? next
        : undefined;
  // What can be consumed next: of an empty stream, what comes next.
  const found = firstAfterKnown ?? lastSequence + 1;
  if (from !== undefined && found <= from) {
    // The message that was logged last may hold more commands: after a start it is read again.
    return { do: "continue", next: from === next && holdsLastKnown && taken === undefined ? known : from };
  }
  if (known === 0) {
    return {
      do: "refuse",
      why: `the stream starts at message ${firstSequence}, and this directory has none of the earlier messages: copy the log of another node`,
    };
  }
  if (from !== undefined || (firstSequence > next && lastSequence >= next)) {
    const first = from ?? next;
    const why = `message ${first} of the stream is missing, the next one is ${found}`;
    const missing = `${first}-${found - 1}`;
    return { do: "gap", next: holdsLastKnown && taken === undefined ? known : found, missing, why };
  }
  return {
    do: "lost",
    next,
    why: `message ${known} of the stream differs from the one that the log was written from`,
  };
}

/** The stream's first number, where it was made anew to continue exactly this log; else undefined. */
function continuationOf(metadata: Readonly<Record<string, string>>, log: LogPosition): number | undefined {
  const at = Number(metadata[METADATA.continuesAt]);
  const continues =
    metadata[METADATA.continuesCommand] === commandText(log) &&
    metadata[METADATA.continuesCrc] === crcText(log.crc);
  return continues && Number.isSafeInteger(at) && at > 0 ? at : undefined;
}
