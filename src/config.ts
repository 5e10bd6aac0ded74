/** Every setting once: its flag, environment variable, unit, default and check. */

import { isIP } from "node:net";
import { AccountPrefix } from "./domain/account-prefix.ts";
import { type Currency, parseCurrency } from "./domain/names.ts";
import { SCOPES } from "./ports/keys.ts";

export interface Setting<T> {
  readonly flag: string;
  /** What `--help` says; the unit stands in the flag's name. */
  readonly help: string;
  /** As `--help` shows it; undefined for a switch. */
  readonly value: string | undefined;
  readonly default: string | undefined;
  /** Undefined where the text is not a value of it. */
  parse(text: string): T | undefined;
  readonly must: string;
  /** It may hold a password: it is never shown, and `--FLAG-file` names a file that holds it. */
  readonly secret?: true;
}

/** The largest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function text(flag: string, value: string, help: string, byDefault?: string): Setting<string> {
  return {
    flag,
    value,
    help,
    default: byDefault,
    must: "must not be empty",
    parse: (given) => given || undefined,
  };
}

function integer(flag: string, help: string, byDefault: number, min: number, max: number): Setting<number> {
  return {
    flag,
    value: "N",
    help,
    default: String(byDefault),
    must: `must be an integer from ${min} to ${max}`,
    parse: (given) =>
      /^[0-9]{1,16}$/.test(given) && Number(given) >= min && Number(given) <= max ? Number(given) : undefined,
  };
}

function flag(name: string, help: string): Setting<boolean> {
  return {
    flag: name,
    value: undefined,
    help,
    default: undefined,
    must: "must be true or false",
    parse: (given) => (given === "true" ? true : given === "false" ? false : undefined),
  };
}

function choice<T extends string>(
  name: string,
  help: string,
  choices: readonly T[],
  byDefault?: T,
): Setting<T> {
  return {
    flag: name,
    value: choices.join("|"),
    help,
    default: byDefault,
    must: `must be one of ${choices.join(", ")}`,
    parse: (given) => choices.find((one) => one === given),
  };
}

/** A host's name (RFC 1123, and the `_` of some). One that ends in a number would be taken for an address. */
const HOST_NAME = /^(?!.*\b[0-9]+$)\w([\w-]{0,61}\w)?(\.\w([\w-]{0,61}\w)?)*$/;
const MAX_HOST_NAME = 253;

function host(text: string): string | undefined {
  return isIP(text) > 0 || (text.length <= MAX_HOST_NAME && HOST_NAME.test(text)) ? text : undefined;
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Whether a URL names a host, and its user and password can be read. */
function isServer(text: string, protocols: readonly string[]): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  try {
    decodeURIComponent(username + password);
  } catch {
    return false;
  }
  return hostname !== "" && protocols.includes(protocol);
}

function natsUrls(urls: string): string | undefined {
  const good = urls.split(",").every((url) => {
    const whole = url.includes("://") ? url : `nats://${url}`;
    return isServer(whole, ["nats:", "tls:"]);
  });
  return good ? urls : undefined;
}

/** A URL with no host, up to where the host would be. */
const HOSTLESS = /^(\w+:\/\/(?:[^/?#]*@)?)(?=[:/?#]|$)/;

/** As libpq, a parameter may name the host, or the folder of a unix socket. */
function postgresUrl(url: string): string | undefined {
  const whole = /[?&](host|path|socket)=[^&]/.test(url) ? url.replace(HOSTLESS, "$1localhost") : url;
  return isServer(whole, ["postgres:", "postgresql:"]) ? url : undefined;
}

export const SETTINGS = {
  data: text("data", "DIR", "the ledger's folder", "./data"),
  host: {
    ...text("host", "HOST", "the address to listen on; beyond loopback only with keys", "127.0.0.1"),
    must: "must be an address or a host's name",
    parse: host,
  },
  port: integer("port", "the port to listen on; 0 takes a free one", 8080, 0, 65_535),
  tlsCert: text("tls-cert", "FILE", "serve HTTPS with this certificate, and those that it needs, as PEM"),
  tlsKey: text("tls-key", "FILE", "the certificate's private key, as PEM, without a password"),
  currency: {
    ...text("currency", "CODE", "the ledger's default currency (USD); counts when it is opened"),
    must: "must be 3 to 12 of A-Z 0-9, beginning with a letter",
    parse: (given: string): Currency | undefined => parseCurrency(given),
  },
  strict: flag("strict", "only opened accounts may be credited; counts when the ledger is opened"),
  natsUrl: {
    ...text("nats-url", "URL", "the NATS server or cluster, comma-separated; without one serve runs its own"),
    must: "must be one or more of nats://USER:PASSWORD@HOST:PORT, comma-separated, percent-encoded",
    parse: natsUrls,
    secret: true,
  },
  streamMaxBytes: integer(
    "stream-max-bytes",
    "the most that waiting commands may take on the queue",
    1 << 30,
    1 << 20,
    Number.MAX_SAFE_INTEGER,
  ),
  streamReplicas: integer("stream-replicas", "copies of the stream in a cluster", 1, 1, 5),
  remakeLostStream: {
    ...integer(
      "remake-lost-stream",
      "recreate the lost stream of an external NATS from this node's log, which ends at seq N; counts for one start",
      0,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    default: undefined,
    must: "must be the seq at which the log ends, as the refusal names it (start once without this to read it)",
  },
  acceptGap: {
    ...text(
      "accept-gap",
      "FIRST-LAST",
      "go on without these messages, which the queue has dropped before this node read them; counts for one start",
    ),
    must: "must be FIRST-LAST, the messages that the refusal names (start once without this to read them)",
    parse: (given: string): string | undefined =>
      /^[0-9]{1,15}-[0-9]{1,15}$/.test(given) ? given : undefined,
  },
  remakeLostChanges: {
    ...integer(
      "remake-lost-changes",
      "recreate the lost stream of balance changes after message N, the last that is written; counts for one start",
      1,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    default: undefined,
    must: "must be the number of the last message that is written, as the refusal names it (start once without this to read it)",
  },
  postgresUrl: {
    ...text("postgres-url", "URL", "the PostgreSQL database that balances are written to; only under Bun"),
    must: "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, percent-encoded, or postgres:///DATABASE?host=FOLDER for a unix socket",
    parse: postgresUrl,
    secret: true,
  },
  postgresPartitions: integer(
    "postgres-partitions",
    "parts of its balances with a leader each; fixed when the database is first migrated",
    1,
    1,
    256,
  ),
  postgresLeaseMs: integer(
    "postgres-lease-ms",
    "for how long a node leads without a sign of life",
    1_500,
    100,
    MAX_TIMER_MS,
  ),
  gatewayThreads: {
    ...integer(
      "gateway-threads",
      "threads that serve HTTP; by default one less than the cores, at most 4, and one under Deno",
      1,
      1,
      64,
    ),
    default: undefined,
  },
  outcomeTimeoutMs: integer(
    "outcome-timeout-ms",
    "how long a caller waits for an outcome",
    10_000,
    1,
    MAX_TIMER_MS,
  ),
  maxBodyBytes: integer("max-body-bytes", "the largest body of a request", 4 << 20, 1 << 10, 64 << 20),
  maxConnections: integer(
    "max-connections",
    "HTTP connections at once; at most half of the files that the process may have open",
    10_000,
    1,
    1_000_000,
  ),
  minFreeBytes: integer(
    "min-free-bytes",
    "free disk space below which commands are refused",
    64 << 20,
    0,
    Number.MAX_SAFE_INTEGER,
  ),
  snapshotCommands: integer(
    "snapshot-commands",
    "commands behind which a snapshot is taken, so that the next start need not read the log up to there; 0 takes none",
    1_000_000,
    0,
    Number.MAX_SAFE_INTEGER,
  ),
  sealCommands: integer(
    "seal-commands",
    "commands behind which the log is sealed against people, who could make its crcs fit; 0 seals nothing",
    10_000,
    0,
    100_000,
  ),
  drainDelayMs: integer(
    "drain-delay-ms",
    "how long a node that is told to stop serves on, not ready, so that load balancers leave it first",
    0,
    0,
    MAX_TIMER_MS,
  ),
  shutdownTimeoutMs: integer(
    "shutdown-timeout-ms",
    "how long a stop may take before it is forced",
    15_000,
    100,
    MAX_TIMER_MS,
  ),
  logLevel: choice("log-level", "what goes to stderr", ["debug", "info", "warn", "error"], "info"),
  fromSnapshot: flag("from-snapshot", "begin with the newest snapshot instead of the first line"),
  to: text(
    "to",
    "DIR",
    "the folder that the backup is written to: new or empty, or an earlier backup, which is extended",
  ),
  seals: flag("seals", "hold the log against its seals too, and name the first command that was altered"),
  seal: {
    ...text("seal", "HASH", "a seal's hash that was kept elsewhere; implies --seals"),
    must: "must be 64 hex digits in lower case",
    parse: (given: string): string | undefined => (/^[0-9a-f]{64}$/.test(given) ? given : undefined),
  },
  json: flag("json", "print one line of JSON"),
  scope: choice(
    "scope",
    "what a key is good for; of the first three each includes those before it, and admin metrics too",
    SCOPES,
  ),
  account: {
    ...text("account", "PREFIX", "bind the key to the accounts whose names begin so"),
    must: "must be what an account's name can begin with",
    parse: (given: string): string | undefined => AccountPrefix.parse(given)?.text,
  },
} as const;

/** Settings of earlier versions, by their flags, and what decides now. */
export const REMOVED_SETTINGS: Readonly<Record<string, string>> = {
  "postgres-heartbeat-ms": "a leader renews its lease three times in --postgres-lease-ms",
  "postgres-batch-size": "batches are as large as the writer's lag asks for",
  "max-waiting-commands": "commands are admitted by how long they would wait",
};

export type SettingName = keyof typeof SETTINGS;

type ValueOf<N extends SettingName> = (typeof SETTINGS)[N] extends Setting<infer T> ? T : never;
type WithDefault = Exclude<
  SettingName,
  | "currency"
  | "natsUrl"
  | "postgresUrl"
  | "strict"
  | "gatewayThreads"
  | "remakeLostStream"
  | "acceptGap"
  | "remakeLostChanges"
  | "tlsCert"
  | "tlsKey"
  | "scope"
  | "account"
  | "to"
  | "seal"
>;

/** Settings without a default are undefined where they are not given; switches other than `strict` are false then. */
export type Config<N extends SettingName> = { readonly [K in N & WithDefault]: ValueOf<K> } & {
  readonly [K in Exclude<N, WithDefault>]: ValueOf<K> | undefined;
};

/** The environment variable of a setting. */
export function variableOf(name: SettingName): string {
  return name === "natsUrl" ? "NATS_URL" : variableOfFlag(SETTINGS[name].flag);
}

export function variableOfFlag(flag: string): string {
  return `COFFER_${flag.toUpperCase().replaceAll("-", "_")}`;
}
