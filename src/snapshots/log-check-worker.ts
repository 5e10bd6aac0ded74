/** Checks the older lines of the log on a thread of its own. */

import { join } from "node:path";
import { checkLines } from "../eventlog/check-lines.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import { follow } from "../followers/follow.ts";
import { LOG_CHECK } from "./log-check-follower.ts";

follow(LOG_CHECK, ({ data, log, position, progress }) => ({
  run: async () => progress({ damage: await checkLines(log, join(data, LOG_NAME), position) }),
  stop: () => {}, // nothing of it is worth waiting for: a node that stops ends the thread
}));
