/** PostgreSQL by Bun's own client. */

import { SQL } from "bun";
import {
  type SqlConnect,
  type SqlConnection,
  type SqlConnectOptions,
  SqlError,
  type SqlRow,
  type SqlValue,
} from "../ports/sql-connection.ts";
import openSession from "./open-session.sql" with { type: "text" };

const CONNECT_TIMEOUT_SECONDS = 2;
/** The server ends what takes too long; where even that is not heard of for so long, the connection is dead. */
const ANSWER_GRACE_MS = 500;

type Reserved = Awaited<ReturnType<SQL["reserve"]>>;

/** How to connect to the server of `url`. */
export function connectTo(url: string): SqlConnect {
  return async (options) => {
    const ended = Promise.withResolvers<string>();
    const pool = new SQL({
      url,
      adapter: "postgres",
      max: 1,
      bigint: true,
      idleTimeout: 0,
      maxLifetime: 0,
      connectionTimeout: CONNECT_TIMEOUT_SECONDS,
      onclose: (error) => ended.resolve(error?.message ?? "the connection was closed"),
    });
    const patience = setTimeout(
      () => void pool.close({ timeout: 0 }),
      CONNECT_TIMEOUT_SECONDS * 1_000 + ANSWER_GRACE_MS,
    );
    try {
      const reserved = await pool.reserve();
      const { applicationName, timeoutMs } = options;
      const [row] = (await reserved.unsafe(openSession, [applicationName, String(timeoutMs)])) as {
        pid: number;
      }[];
      if (!row) throw new Error("the server does not tell its process");
      return new BunConnection(pool, reserved, row.pid, ended.promise, options);
    } catch (error) {
      await pool.close({ timeout: 0 });
      throw sqlErrorOf(error);
    } finally {
      clearTimeout(patience);
    }
  };
}

class BunConnection implements SqlConnection {
  constructor(
    private readonly pool: SQL,
    private readonly reserved: Reserved,
    readonly backendPid: number,
    readonly ended: Promise<string>,
    private readonly options: SqlConnectOptions,
  ) {}

  query<Row extends object = SqlRow>(
    text: string,
    values: readonly SqlValue[] = [],
  ): Promise<readonly Row[]> {
    return this.#answer(async () => {
      const parameters = values.map((value) => (Array.isArray(value) ? arrayText(value) : value));
      return [...((await this.reserved.unsafe(text, parameters)) as Row[])];
    });
  }

  async run(text: string): Promise<void> {
    await this.#answer(async () => await this.reserved.unsafe(text).simple());
  }

  copyIn(text: string, rows: Uint8Array): Promise<void> {
    return this.#answer(async () => {
      const writer = this.reserved.unsafe(text).writable().getWriter();
      await writer.write(rows);
      await writer.close();
    });
  }

  async close(): Promise<void> {
    await this.pool.close({ timeout: 0 });
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    const { timeoutMs } = this.options;
    const patience =
      timeoutMs === 0 ? undefined : setTimeout(() => void this.close(), timeoutMs + ANSWER_GRACE_MS);
    try {
      return await ask();
    } catch (error) {
      throw sqlErrorOf(error);
    } finally {
      clearTimeout(patience);
    }
  }
}

/** An array's literal: its elements are numbers, or texts that are quoted. */
function arrayText(values: readonly (string | number | bigint)[]): string {
  const elements = values.map((value) =>
    typeof value === "string" ? `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : String(value),
  );
  return `{${elements.join(",")}}`;
}

function sqlErrorOf(error: unknown): unknown {
  if (!(error instanceof SQL.PostgresError)) return error;
  const fromServer = error.code === "ERR_POSTGRES_SERVER_ERROR";
  return new SqlError(error.message, fromServer ? error.errno : undefined);
}
