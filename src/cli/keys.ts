import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { makeKey } from "../keys/key.ts";
import {
  isKeyName,
  KEYS_NAME,
  MAX_KEYS,
  makeKeysLock,
  NAME_MUST,
  NotTheOwner,
  readKeys,
  writeKeys,
} from "../keys/key-file.ts";
import { type KeyRecord, METRICS_SCOPE, SCOPES } from "../ports/keys.ts";
import { loadRuntime } from "../runtime/load.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { readConfig, WrongSetting } from "./read-config.ts";

const SETTINGS = ["data", "scope", "account", "json"] as const;
/** For how long other commands may hold the file. */
const LOCK_PATIENCE_MS = 5_000;
const LOCK_RETRY_MS = 20;

export const keys: CliCommand = {
  name: "keys",
  usage: "add NAME|list|revoke NAME",
  help: [
    "manages API keys: add creates a key and prints it once; list shows all keys except the secrets;",
    "revoke deletes one. A running node applies changes within about a second",
  ].join("\n"),
  settings: SETTINGS,
  async run(args, env) {
    const [action, ...rest] = args;
    if (action === "list") return list(rest, env);
    if (action !== "add" && action !== "revoke")
      throw new WrongSetting("expected add NAME, list, or revoke NAME");
    const name = rest.shift();
    if (name === undefined || name.startsWith("-"))
      throw new WrongSetting(`expected ${action} NAME: the name precedes the flags`);
    if (!isKeyName(name)) throw new WrongSetting(`NAME ${NAME_MUST}`);
    return action === "add" ? add(name, rest, env) : revoke(name, rest, env);
  },
};

type Env = Parameters<CliCommand["run"]>[1];

async function add(name: string, args: readonly string[], env: Env): Promise<number> {
  const { data, scope, account, json } = readConfig(SETTINGS, args, env);
  if (scope === undefined) throw new WrongSetting(`--scope is required: one of ${SCOPES.join(", ")}`);
  if (scope === METRICS_SCOPE && account !== undefined)
    throw new WrongSetting(
      "--account cannot be combined with --scope metrics, which gives no access to accounts",
    );
  mkdirSync(data, { recursive: true, mode: 0o750 });
  const { key, record } = makeKey({ name, scope, account, created: new Date().toISOString() });
  await change(data, (known) => {
    if (known.some((other) => other.name === name))
      throw new CommandFailed(`the key ${name} already exists: revoke it first, or choose another name`);
    if (known.length >= MAX_KEYS) throw new CommandFailed(`the limit of ${MAX_KEYS} keys is reached`);
    return [...known, record];
  });
  console.log(json ? JSON.stringify({ ...toldOf(record), key }) : key);
  return 0;
}

async function revoke(name: string, args: readonly string[], env: Env): Promise<number> {
  const { data } = readConfig(["data"], args, env);
  knownIn(data);
  await change(data, (known) => {
    const left = known.filter((record) => record.name !== name);
    if (left.length === known.length) throw new CommandFailed(`${data} has no key ${name}`);
    return left;
  });
  return 0;
}

async function list(args: readonly string[], env: Env): Promise<number> {
  const { data, json } = readConfig(["data", "json"], args, env);
  const told = knownIn(data).map(toldOf);
  if (json) console.log(JSON.stringify(told));
  else {
    const rows = told.map(({ name, scope, account = "*", created }) => [name, scope, account, created]);
    for (const line of aligned([["NAME", "SCOPE", "ACCOUNTS", "CREATED"], ...rows])) console.log(line);
  }
  return 0;
}

/** What may be told of a key: who has its salted hash can try keys. */
function toldOf({ name, scope, account, created }: KeyRecord) {
  return { name, scope, account, created };
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function knownIn(data: string): readonly KeyRecord[] {
  const known = readKeys(data);
  if (!known) throw new CommandFailed(`${join(data, KEYS_NAME)} does not exist`);
  return known;
}

/** Replaces the keys with what `next` makes of them; one command at a time. */
async function change(
  data: string,
  next: (known: readonly KeyRecord[]) => readonly KeyRecord[],
): Promise<void> {
  const { lock } = await loadRuntime();
  const path = orFailed(() => makeKeysLock(data));
  for (const until = performance.now() + LOCK_PATIENCE_MS; ; ) {
    const held = lock(path);
    if (held) {
      try {
        const keys = next(readKeys(data) ?? []);
        orFailed(() => writeKeys(data, keys));
      } finally {
        held.release();
      }
      return;
    }
    if (performance.now() > until) throw new CommandFailed(`${path} is held by another process`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

function orFailed<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof NotTheOwner ? new CommandFailed(error.message) : error;
  }
}
