/** The thread of counting.ts. */

import process from "node:process";
import { follow } from "../../src/followers/follow.ts";
import { COUNTING } from "./counting.ts";

follow(COUNTING, ({ feed, settings, position, onTaking, progress, report }) => {
  if (settings.begin === "throws") throw new Error("it cannot begin");
  const follower = feed.follow(position);
  const over = Promise.withResolvers<void>();
  let events = 0;
  let taking = true;
  const count = () => {
    for (let some = follower.next(); some.length > 0; some = follower.next())
      for (const command of some) events += command.events.length;
    progress({ events, taking });
    if (events < settings.at) return;
    if (settings.does === "halts") over.reject(new Error("so many are too many"));
    else if (settings.does === "throws") throw new Error("a bug");
    else if (settings.does === "throws later") void Promise.reject(new Error("a bug"));
    else if (settings.does === "exits") process.exit(3);
    else if (settings.does === "finishes") over.resolve();
  };
  onTaking((now) => {
    taking = now;
    progress({ events, taking });
  });
  return {
    run: async () => {
      count();
      feed.onGrowth(count);
      await over.promise;
    },
    stop: () => {
      report("info", "counted", { event: "stopped", events });
      over.resolve();
    },
  };
});
