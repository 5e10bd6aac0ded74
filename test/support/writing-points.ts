/** The points of a batch on its way into PostgreSQL, at which tests stop the writer or cut its connection. */

import type { ChangeWriter } from "../../src/ports/balance-changes.ts";
import type { SqlConnect, SqlConnection } from "../../src/ports/sql-connection.ts";
import { batchWriter } from "../../src/projection/postgres/batch/batch-writer.ts";

export const POINTS = [
  "before COPY",
  "within COPY",
  "after the statement",
  "before the guarded update and COMMIT are sent",
  "after they are sent",
] as const;
export type Point = (typeof POINTS)[number] | "never";

/** The batch in which it happens. */
const BATCH = 3;

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
  const wrap = (inner: SqlConnection): SqlConnection => ({
    backendPid: inner.backendPid,
    ended: inner.ended,
    query: (text, values) => inner.query(text, values),
    run: async (text) => {
      const ends = text.includes("COMMIT");
      if (ends) at("before the guarded update and COMMIT are sent");
      const running = inner.run(text);
      if (ends) at("after they are sent");
      await running;
    },
    copyIn: async (text, rows) => {
      at("before COPY");
      const copying = inner.copyIn(text, rows);
      at("within COPY");
      await copying;
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
