/** One connection to PostgreSQL. It never reconnects: when anything about it fails, it is over. */

export type SqlValue = string | number | bigint | boolean | null | readonly (string | number | bigint)[];

/** int8 comes as a bigint, numeric as a string. */
export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlConnection {
  /** The server's process that serves it. */
  readonly backendPid: number;
  /** Resolves with the reason when the connection is over. */
  readonly ended: Promise<string>;
  /** One statement, with `$1`, `$2`, … for `values`. Throws SqlError. */
  query<Row extends object = SqlRow>(text: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Any number of statements in one message; those after one that fails are not executed. Throws SqlError. */
  run(text: string): Promise<void>;
  /** `COPY … FROM STDIN`, with the bytes of its rows. Throws SqlError. */
  copyIn(text: string, rows: Uint8Array): Promise<void>;
  /** Ends it at once, whatever is under way. */
  close(): Promise<void>;
}

export interface SqlConnectOptions {
  /** What pg_stat_activity calls it. */
  readonly applicationName: string;
  /** Statements that take longer, and transactions that wait longer, are ended by the server; 0 for no limit. */
  readonly timeoutMs: number;
}

/** Throws SqlError where there is no server, or it does not let us in. */
export type SqlConnect = (options: SqlConnectOptions) => Promise<SqlConnection>;

/** A statement failed. */
export class SqlError extends Error {
  override readonly name = "SqlError";

  /** `state`: the server's SQLSTATE; undefined where the connection failed, and nobody knows what it did. */
  constructor(
    message: string,
    readonly state: string | undefined,
  ) {
    super(message);
  }
}
