/** The points of a batch on its way into PostgreSQL, at which tests stop the writer or cut its connection. */

import type { SqlConnect, SqlConnection } from "../../src/ports/sql-connection.ts";
import type { ChangeWriter } from "../../src/postgres/balance-changes.ts";
import { batchWriter } from "../../src/postgres/batch/batch-writer.ts";

export const POINTS = [
  "before COPY",
  "within COPY",
  "after the statement",
  "before the guarded update and COMMIT are sent",
  "after they are sent",
] as const;
export type Point = (typeof POINTS)[number] | "never";

/** What PostgreSQL says of the session that is stopped there: its state, and what its last statement begins with. */
export const ACTIVITIES: Readonly<Record<(typeof POINTS)[number], readonly [state: string, query: string]>> =
  {
    "before COPY": ["idle in transaction", "SELECT shrink_staging"],
    "within COPY": ["active", "COPY staged_balances"],
    "after the statement": ["idle in transaction", "COPY balance_change_logs"],
    "before the guarded update and COMMIT are sent": ["idle in transaction", "COPY balance_change_logs"],
    "after they are sent": ["idle", "-- One message: a fence"],
  };

/** The batch in which it happens. */
const BATCH = 3;
/** A message leaves at the end of a turn of the event loop; this is too short for its answer. */
const UNDER_WAY_MS = 2;

/** A way to connect, and a writer, that do `what` when the writer comes to `point`, once. */
export function disturb(
  connect: SqlConnect,
  point: Point,
  what: () => void,
): { readonly connect: SqlConnect; readonly writer: ChangeWriter } {
  const plain = batchWriter(1);
  let batches = 0;
  let done = false;
  const at = (where: Point) => {
    if (done || where !== point || batches < BATCH) return;
    done = true;
    what();
  };
  /** Does it while `running` is under way: what it has to say was sent. */
  const during = async (where: Point, running: Promise<void>, sent: () => Promise<unknown>) => {
    if (!done && where === point && batches >= BATCH) {
      running.catch(() => {}); // it is awaited below
      await sent();
      at(where);
    }
    await running;
  };
  const wrap = (inner: SqlConnection): SqlConnection => ({
    backendPid: inner.backendPid,
    ended: inner.ended,
    query: (text, values) => inner.query(text, values),
    run: async (text) => {
      if (!text.includes("COMMIT")) return await inner.run(text);
      at("before the guarded update and COMMIT are sent");
      await during("after they are sent", inner.run(text), () => after(UNDER_WAY_MS));
    },
    copyIn: async (text, rows) => {
      at("before COPY");
      await during("within COPY", inner.copyIn(text, rows), nextTurn);
    },
    close: () => inner.close(),
  });
  return {
    connect: async (options) => {
      const inner = await connect(options);
      return options.applicationName.includes("writer") ? wrap(inner) : inner;
    },
    writer: {
      prepare: (connection, tenure) => plain.prepare(connection, tenure),
      write: async (connection, tenure, changes) => {
        batches++;
        const written = await plain.write(connection, tenure, changes);
        at("after the statement");
        return written;
      },
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
