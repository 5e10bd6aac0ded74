/** What a node does about a file that it has lost, before it stops. */

import type { Clock } from "../ports/clock.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { type LogFiles, LostFile } from "./log-files.ts";

/** After a copy that failed, the pause before the next; it doubles each time. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

export interface RescueParts {
  readonly clock: Clock;
  readonly log: NodeLog;
}

/**
 * Copies the log, up to `end`, if it would be gone with the process. Resolves with the reason to stop when nothing
 * is lost by that: while the copy cannot be made, never.
 */
export async function rescueLog(
  lost: LostFile,
  files: LogFiles,
  end: LogPosition,
  { clock, log }: RescueParts,
): Promise<LostFile> {
  const { event, message, rescue } = lost;
  if (!rescue) {
    log.error({ event, error: message }, "a file of the ledger was lost");
    return lost;
  }
  const { seq, bytes } = end;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      const rescued = await files.rescue(end);
      log.error(
        { event, error: message, rescued, seq, bytes },
        "the log file was lost: its open file was copied",
      );
      return new LostFile(event, `${message}; the open file, up to event ${seq}, was copied to ${rescued}`);
    } catch (error) {
      const descriptor = files.log.descriptorPath;
      log.error(
        { event, error: message, reason: String(error), seq, bytes, descriptor },
        "the log file was lost and its open file cannot be copied: the node keeps running until it can",
      );
    }
    await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
  }
}
