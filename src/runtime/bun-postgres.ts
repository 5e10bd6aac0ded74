/** PostgreSQL by Bun's own client. */

import { connect } from "node:net";
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

/** What Bun reports alike for a host without an address, a port that refuses, and a socket that is not there. */
const UNREACHABLE = ["ERR_POSTGRES_CONNECTION_REFUSED", "ERR_POSTGRES_CONNECTION_FAILED"];
const PROBE_TIMEOUT_MS = 1_000;
/** The name of the database in a URL. */
const DATABASE = /^\w+:\/\/[^/?#]*\/([^?#]+)/;

type Reserved = Awaited<ReturnType<SQL["reserve"]>>;

/** How to connect to the server of `url`. Errors name the server and the cause, and never the password. */
export function connectTo(url: string): SqlConnect {
  return async (options) => {
    const ended = Promise.withResolvers<string>();
    const pool = makePool(url, ended.resolve);
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
      if (!row) throw new Error("the server does not report its process id");
      return new BunConnection(pool, reserved, row.pid, ended.promise, options);
    } catch (error) {
      await pool.close({ timeout: 0 });
      throw await cannotConnect(serverOf(pool), error);
    } finally {
      clearTimeout(patience);
    }
  };
}

function makePool(url: string, ended: (why: string) => void): SQL {
  try {
    const database = DATABASE.exec(url)?.[1];
    return new SQL({
      url,
      // The environment's PGDATABASE would win over the URL.
      ...(database !== undefined && { database: decodeURIComponent(database) }),
      adapter: "postgres",
      max: 1,
      bigint: true,
      idleTimeout: 0,
      maxLifetime: 0,
      connectionTimeout: CONNECT_TIMEOUT_SECONDS,
      onclose: (error) => ended(error?.message ?? "the connection was closed"),
    });
  } catch (error) {
    throw new SqlError(
      `the PostgreSQL URL has an invalid parameter: ${error instanceof Error ? error.message : error}`,
      undefined,
    );
  }
}

/** What is connected to, as the URL and the environment say. */
type Server =
  | { readonly path: string }
  | { readonly path?: undefined; readonly host: string; readonly port: number };

function serverOf({ options }: SQL): Server {
  const { path, hostname, port } = options as { path?: string; hostname: string; port: number };
  return path === undefined ? { host: hostname, port } : { path };
}

async function cannotConnect(server: Server, error: unknown): Promise<SqlError> {
  const why = error instanceof Error ? error.message : String(error);
  const state = isServerError(error) ? error.errno : undefined;
  const unreachable = error instanceof SQL.PostgresError && UNREACHABLE.includes(error.code);
  const cause = (unreachable && (await unreachableBecause(server))) || why;
  const name = server.path ?? `${server.host}:${server.port}`;
  return new SqlError(`cannot connect to PostgreSQL at ${name}: ${cause}`, state);
}

/** The system's reason (`connect ECONNREFUSED …`, `getaddrinfo ENOTFOUND …`); undefined if it connects. */
function unreachableBecause(server: Server): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket =
    server.path === undefined
      ? connect({ host: server.host.replace(/^\[|\]$/g, ""), port: server.port })
      : connect({ path: server.path });
  socket.on("error", (error) => resolve(error.message));
  socket.on("connect", () => resolve(undefined));
  const patience = setTimeout(() => resolve("connect ETIMEDOUT"), PROBE_TIMEOUT_MS);
  return promise.finally(() => {
    clearTimeout(patience);
    socket.destroy();
  });
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
  return new SqlError(error.message, isServerError(error) ? error.errno : undefined);
}

function isServerError(error: unknown): error is SQL.PostgresError {
  return error instanceof SQL.PostgresError && error.code === "ERR_POSTGRES_SERVER_ERROR";
}
