/** Seals the log on a thread of its own. */

import { DiskFolder } from "../eventlog/disk.ts";
import { follow } from "../followers/follow.ts";
import { SEALS_NAME, type Seal } from "../ports/seals.ts";
import { loadRuntime } from "../runtime/load.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { SEALS } from "./seal-follower.ts";
import { Sealing } from "./sealing.ts";

follow(SEALS, async ({ data, settings, log, progress, report }) => {
  const runtime = await loadRuntime();
  const folder = new DiskFolder(data);
  const sealed = (newest: Seal) => progress({ newest, halted: false });
  return new Sealing(
    {
      folder,
      log,
      clock: systemClock,
      lock: () => runtime.lock(folder.path(SEALS_NAME)),
      opened: (newest, cut) => {
        if (cut > 0)
          report("warn", "events.seals had a torn end, which was cut off", {
            event: "seals_torn_end_cut",
            bytes: cut,
          });
        if (newest) sealed(newest);
        else if (!settings.isNew)
          report("warn", "there are no seals: the log is sealed from its first line, in its present state", {
            event: "seals_begun_late",
          });
      },
      sealed,
      held: () =>
        report(
          "error",
          "another process has held events.seals for a minute: nothing is sealed until it releases it",
          {
            event: "seals_held",
          },
        ),
    },
    settings.sealCommands,
  );
});
