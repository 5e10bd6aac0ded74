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
  data: text("data", "DIR", "the ledger's data directory", "./data"),
  host: {
    ...text("host", "HOST", "the address to listen on; non-loopback addresses require API keys", "127.0.0.1"),
    must: "must be an IP address or a host name",
    parse: host,
  },
  port: integer("port", "the port to listen on; 0 selects a free one", 8080, 0, 65_535),
  tlsCert: text("tls-cert", "FILE", "serve HTTPS with this certificate chain (PEM)"),
  tlsKey: text("tls-key", "FILE", "the certificate's private key (PEM, unencrypted)"),
  currency: {
    ...text("currency", "CODE", "the ledger's default currency (USD); set when the ledger is opened"),
    must: "must be 3 to 12 characters of A-Z 0-9, starting with a letter",
    parse: (given: string): Currency | undefined => parseCurrency(given),
  },
  strict: flag("strict", "only opened accounts can be credited; set when the ledger is opened"),
  natsUrl: {
    ...text(
      "nats-url",
      "URL",
      "the NATS server or cluster, comma-separated; by default the node runs its own",
    ),
    must: "must be one or more of nats://USER:PASSWORD@HOST:PORT, comma-separated, percent-encoded",
    parse: natsUrls,
    secret: true,
  },
  streamMaxBytes: integer(
    "stream-max-bytes",
    "the maximum size of the command stream",
    1 << 30,
    1 << 20,
    Number.MAX_SAFE_INTEGER,
  ),
  streamReplicas: integer("stream-replicas", "the number of stream replicas in a cluster", 1, 1, 5),
  remakeLostStream: {
    ...integer(
      "remake-lost-stream",
      "recreate the lost stream of an external NATS from this node's log, which ends at seq N; valid for one start",
      0,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    default: undefined,
    must: "must be the seq at which the log ends, as reported by a start without this flag",
  },
  acceptGap: {
    ...text(
      "accept-gap",
      "FIRST-LAST",
      "continue without these messages, which the queue dropped before this node read them; valid for one start",
    ),
    must: "must be FIRST-LAST, the missing messages, as reported by a start without this flag",
    parse: (given: string): string | undefined =>
      /^[0-9]{1,15}-[0-9]{1,15}$/.test(given) ? given : undefined,
  },
  remakeLostChanges: {
    ...integer(
      "remake-lost-changes",
      "recreate the lost stream of balance changes after message N, the last one written to PostgreSQL; valid for one start",
      1,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    default: undefined,
    must: "must be the number of the last message written to PostgreSQL, as reported by a start without this flag",
  },
  postgresUrl: {
    ...text("postgres-url", "URL", "the PostgreSQL database to write balances to; requires Bun"),
    must: "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, percent-encoded, or postgres:///DATABASE?host=FOLDER for a unix socket",
    parse: postgresUrl,
    secret: true,
  },
  postgresPartitions: integer(
    "postgres-partitions",
    "the number of balance partitions, each with its own leader; fixed by the first migration",
    1,
    1,
    256,
  ),
  postgresLeaseMs: integer(
    "postgres-lease-ms",
    "how long a leader may go without a heartbeat before another node takes over",
    1_500,
    100,
    MAX_TIMER_MS,
  ),
  gatewayThreads: {
    ...integer(
      "gateway-threads",
      "threads that serve HTTP; by default one less than the cores, at most 4; always 1 under Deno",
      1,
      1,
      64,
    ),
    default: undefined,
  },
  outcomeTimeoutMs: integer(
    "outcome-timeout-ms",
    "how long a request waits for its outcome",
    10_000,
    1,
    MAX_TIMER_MS,
  ),
  maxBodyBytes: integer("max-body-bytes", "the maximum size of a request body", 4 << 20, 1 << 10, 64 << 20),
  maxConnections: integer(
    "max-connections",
    "the maximum number of HTTP connections; at most half of the open file limit",
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
    "take a snapshot after this many commands, so that the next start reads only the log after it; 0 disables snapshots",
    1_000_000,
    0,
    Number.MAX_SAFE_INTEGER,
  ),
  sealCommands: integer(
    "seal-commands",
    "seal the log after this many commands, so that tampering is detected; 0 disables sealing",
    10_000,
    0,
    100_000,
  ),
  drainDelayMs: integer(
    "drain-delay-ms",
    "how long a stopping node keeps serving, not ready, so that load balancers can drain it",
    0,
    0,
    MAX_TIMER_MS,
  ),
  shutdownTimeoutMs: integer(
    "shutdown-timeout-ms",
    "how long a shutdown may take before it is forced",
    15_000,
    100,
    MAX_TIMER_MS,
  ),
  logLevel: choice("log-level", "the minimum level of log lines", ["debug", "info", "warn", "error"], "info"),
  fromSnapshot: flag("from-snapshot", "start from the newest snapshot instead of the first line"),
  to: text("to", "DIR", "the backup directory: new or empty, or an earlier backup to extend"),
  seals: flag("seals", "also verify the log against its seals, and report the first altered command"),
  seal: {
    ...text("seal", "HASH", "the hash of a seal that was stored elsewhere; implies --seals"),
    must: "must be 64 lower-case hex digits",
    parse: (given: string): string | undefined => (/^[0-9a-f]{64}$/.test(given) ? given : undefined),
  },
  json: flag("json", "print the result as one line of JSON"),
  scope: choice(
    "scope",
    "what the key permits: write includes read, and admin includes write and metrics",
    SCOPES,
  ),
  account: {
    ...text("account", "PREFIX", "restrict the key to accounts whose names start with PREFIX"),
    must: "must be a valid prefix of an account name",
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
