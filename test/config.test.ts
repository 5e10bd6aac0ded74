/** The settings: their defaults, ranges, environment variables, which wins, and what a wrong one is told. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig, removedVariables, settingsHelp, WrongSetting } from "../src/cli/read-config.ts";
import { REMOVED_SETTINGS, SETTINGS, type SettingName, variableOf } from "../src/config.ts";
import { temporaryFolder } from "../tools/harness/folders.ts";

/** They may hold passwords, which are not shown. */
const SECRET: readonly SettingName[] = ["natsUrl", "postgresUrl"];
const NAMES = Object.keys(SETTINGS) as SettingName[];

/** What each setting is, written down a second time: flag, variable, default, and texts on both sides of its check. */
const EXPECTED: Readonly<
  Record<
    SettingName,
    {
      readonly flag: string;
      readonly variable: string;
      readonly byDefault: unknown;
      readonly good: readonly (readonly [text: string, value: unknown])[];
      readonly bad: readonly string[];
    }
  >
> = {
  data: {
    flag: "data",
    variable: "COFFER_DATA",
    byDefault: "./data",
    good: [
      ["/var/lib/coffer", "/var/lib/coffer"],
      [" ", " "],
    ],
    bad: [],
  },
  host: {
    flag: "host",
    variable: "COFFER_HOST",
    byDefault: "127.0.0.1",
    good: [
      ["127.0.0.1", "127.0.0.1"],
      ["127.1.2.3", "127.1.2.3"],
      ["::1", "::1"],
      ["localhost", "localhost"],
      ["0.0.0.0", "0.0.0.0"],
      ["::", "::"],
      ["192.168.1.1", "192.168.1.1"],
      ["2001:db8::1", "2001:db8::1"],
      ["db", "db"],
      ["wallet_1.example.com", "wallet_1.example.com"],
      ["127.0.0.1.example.com", "127.0.0.1.example.com"],
      [`${"a".repeat(63)}.x`, `${"a".repeat(63)}.x`],
    ],
    bad: [
      "*",
      " ",
      "127.1",
      "0",
      "256.0.0.1",
      "[::1]",
      "::1/128",
      "localhost:80",
      "http://localhost",
      "example.com.",
      "-example.com",
      "example-.com",
      "a..b",
      `${"a".repeat(64)}.x`,
      "a.".repeat(127),
    ],
  },
  tlsCert: {
    flag: "tls-cert",
    variable: "COFFER_TLS_CERT",
    byDefault: undefined,
    good: [["/etc/coffer/cert.pem", "/etc/coffer/cert.pem"]],
    bad: [],
  },
  tlsKey: {
    flag: "tls-key",
    variable: "COFFER_TLS_KEY",
    byDefault: undefined,
    good: [["/etc/coffer/key.pem", "/etc/coffer/key.pem"]],
    bad: [],
  },
  port: integer("port", "COFFER_PORT", 8_080, 0, 65_535),
  currency: {
    flag: "currency",
    variable: "COFFER_CURRENCY",
    byDefault: undefined,
    good: [
      ["USD", "USD"],
      ["XAU", "XAU"],
      ["ABCDEFGHIJKL", "ABCDEFGHIJKL"],
    ],
    bad: ["usd", "US", "1SD", "ABCDEFGHIJKLM", "U-D", "USD "],
  },
  strict: toggle("strict", "COFFER_STRICT", undefined),
  natsUrl: {
    flag: "nats-url",
    variable: "NATS_URL",
    byDefault: undefined,
    good: [
      ["nats://127.0.0.1:4222", "nats://127.0.0.1:4222"],
      ["a:1,b:2", "a:1,b:2"],
    ],
    bad: [
      "nats://user:s3cret@host:99999",
      "nats://user:s3cret@",
      "nats://u:s3%cret@host",
      "http://s3cret:4222",
    ],
  },
  streamMaxBytes: integer("stream-max-bytes", "COFFER_STREAM_MAX_BYTES", 2 ** 30, 2 ** 20, 2 ** 53 - 1),
  streamReplicas: integer("stream-replicas", "COFFER_STREAM_REPLICAS", 1, 1, 5),
  remakeLostStream: named(
    integer("remake-lost-stream", "COFFER_REMAKE_LOST_STREAM", undefined, 0, 2 ** 53 - 1),
  ),
  acceptGap: named({
    flag: "accept-gap",
    variable: "COFFER_ACCEPT_GAP",
    byDefault: undefined,
    good: [
      ["13-24", "13-24"],
      ["7-7", "7-7"],
    ],
    bad: ["13", "13-", "-24", "13 - 24", "13-24-25", `1-${"9".repeat(16)}`],
  }),
  remakeLostChanges: named(
    integer("remake-lost-changes", "COFFER_REMAKE_LOST_CHANGES", undefined, 1, 2 ** 53 - 1),
  ),
  postgresUrl: {
    flag: "postgres-url",
    variable: "COFFER_POSTGRES_URL",
    byDefault: undefined,
    good: [
      ["postgres://u:p@127.0.0.1:5432/db", "postgres://u:p@127.0.0.1:5432/db"],
      ["postgresql://db.example.com/x", "postgresql://db.example.com/x"],
      ...[
        "postgres:///db?host=/var/run/postgresql",
        "postgres://u:p@/db?host=/var/run/postgresql&port=5433",
        "postgres://u:p@:5433/db?host=%2Fvar%2Frun%2Fpostgresql",
        "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/db",
        "postgres://u@localhost/db?path=/run/pg",
      ].map((url) => [url, url] as const),
    ],
    bad: [
      "127.0.0.1:5432",
      "mysql://127.0.0.1/x",
      "nats://u:s3cret@127.0.0.1:4222",
      "postgres://u:s3%cret@db/x",
      "postgresql:",
      "postgres:///db",
      "postgres:///db?host=",
      "postgres://u:s3cret@/db",
      "mysql:///db?host=/run",
    ],
  },
  postgresPartitions: integer("postgres-partitions", "COFFER_POSTGRES_PARTITIONS", 1, 1, 256),
  postgresLeaseMs: integer("postgres-lease-ms", "COFFER_POSTGRES_LEASE_MS", 1_500, 100, 2 ** 31 - 1),
  gatewayThreads: integer("gateway-threads", "COFFER_GATEWAY_THREADS", undefined, 1, 64),
  outcomeTimeoutMs: integer("outcome-timeout-ms", "COFFER_OUTCOME_TIMEOUT_MS", 10_000, 1, 2 ** 31 - 1),
  maxBodyBytes: integer("max-body-bytes", "COFFER_MAX_BODY_BYTES", 4 * 2 ** 20, 1_024, 64 * 2 ** 20),
  maxConnections: integer("max-connections", "COFFER_MAX_CONNECTIONS", 10_000, 1, 1_000_000),
  minFreeBytes: integer("min-free-bytes", "COFFER_MIN_FREE_BYTES", 64 * 2 ** 20, 0, 2 ** 53 - 1),
  snapshotCommands: integer("snapshot-commands", "COFFER_SNAPSHOT_COMMANDS", 1_000_000, 0, 2 ** 53 - 1),
  drainDelayMs: integer("drain-delay-ms", "COFFER_DRAIN_DELAY_MS", 0, 0, 2 ** 31 - 1),
  shutdownTimeoutMs: integer("shutdown-timeout-ms", "COFFER_SHUTDOWN_TIMEOUT_MS", 15_000, 100, 2 ** 31 - 1),
  sealCommands: integer("seal-commands", "COFFER_SEAL_COMMANDS", 10_000, 0, 100_000),
  seals: toggle("seals", "COFFER_SEALS", false),
  seal: {
    flag: "seal",
    variable: "COFFER_SEAL",
    byDefault: undefined,
    good: [["0a".repeat(32), "0a".repeat(32)]],
    bad: ["0A".repeat(32), "0a".repeat(31), `${"0a".repeat(32)}0`, "g".repeat(64)],
  },
  logLevel: {
    flag: "log-level",
    variable: "COFFER_LOG_LEVEL",
    byDefault: "info",
    good: ["debug", "info", "warn", "error"].map((level) => [level, level] as const),
    bad: ["INFO", "trace", "fatal", "inf", "30"],
  },
  fromSnapshot: toggle("from-snapshot", "COFFER_FROM_SNAPSHOT", false),
  to: {
    flag: "to",
    variable: "COFFER_TO",
    byDefault: undefined,
    good: [["/var/backups/coffer", "/var/backups/coffer"]],
    bad: [],
  },
  json: toggle("json", "COFFER_JSON", false),
  scope: {
    flag: "scope",
    variable: "COFFER_SCOPE",
    byDefault: undefined,
    good: ["read", "write", "admin", "metrics"].map((scope) => [scope, scope] as const),
    bad: ["Read", "all", "read,write", "read "],
  },
  account: {
    flag: "account",
    variable: "COFFER_ACCOUNT",
    byDefault: undefined,
    good: ["a", "shop-7:", "9", "x".repeat(64)].map((prefix) => [prefix, prefix] as const),
    bad: ["@world", "@", "-a", "a b", "a/", "é", "x".repeat(65), "a\n"],
  },
};

function integer(flag: string, variable: string, byDefault: number | undefined, min: number, max: number) {
  const good = [min, min + 1, max - 1, max].map((value) => [String(value), value] as const);
  const beyond = [String(BigInt(min) - 1n), String(BigInt(max) + 1n)];
  const bad = [
    ...beyond,
    "1.5",
    "1e3",
    "0x400",
    "ten",
    " 5",
    "5 ",
    "5ms",
    "+5",
    "5_000",
    "NaN",
    "Infinity",
    "9".repeat(30),
  ];
  return { flag, variable, byDefault, good, bad };
}

/** They count for what a refusal has named: once they were switches. */
function named<E extends { readonly bad: readonly string[] }>(expected: E): E {
  return { ...expected, bad: [...expected.bad, "true", "false", "yes"] };
}

function toggle(flag: string, variable: string, byDefault: unknown) {
  const good = [
    ["true", true],
    ["false", false],
  ] as const;
  return { flag, variable, byDefault, good, bad: ["yes", "1", "TRUE", "on", " true"] };
}

function read(
  name: SettingName,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): unknown {
  return readConfig([name], args, env)[name];
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WrongSetting) return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

for (const name of NAMES) {
  const { flag, variable, byDefault, good, bad } = EXPECTED[name];
  const isSwitch = SETTINGS[name].value === undefined;

  describe(`--${flag}`, () => {
    test(`is ${String(byDefault)} where nothing is said`, () => {
      expect(read(name, [])).toBe(byDefault);
      expect(read(name, [], { [variable]: "" })).toBe(byDefault);
      expect(read(name, [], { [variable]: undefined })).toBe(byDefault);
    });

    test(`is also ${variable}`, () => {
      expect(variableOf(name)).toBe(variable);
      for (const [text, value] of good) expect(read(name, [], { [variable]: text })).toBe(value);
      for (const text of bad) {
        const message = messageOf(() => read(name, [], { [variable]: text }));
        expect(message).toStartWith(`${variable} must be `);
        if (SECRET.includes(name)) expect(message).not.toContain(text);
        else expect(message).toEndWith(`not "${text}"`);
      }
    });

    test("wins over its variable", () => {
      if (isSwitch) {
        expect(read(name, [`--${flag}`])).toBe(true);
        expect(read(name, [`--${flag}`], { [variable]: "false" })).toBe(true);
        expect(messageOf(() => read(name, [`--${flag}=false`]))).toContain(`--${flag}`);
        return;
      }
      const other = good[0]?.[0];
      for (const [text, value] of good) {
        expect(read(name, [`--${flag}`, text], { [variable]: other })).toBe(value);
        expect(read(name, [`--${flag}=${text}`], { [variable]: bad[0] })).toBe(value);
        expect(read(name, [`--${flag}`, String(other), `--${flag}`, text])).toBe(value);
      }
    });

    if (!isSwitch) {
      test("is refused, with its name, where its value is wrong or missing", () => {
        for (const text of [...bad, ""]) {
          expect(messageOf(() => read(name, [`--${flag}=${text}`]))).toMatch(
            new RegExp(SECRET.includes(name) ? `^--${flag} must [^"]*$` : `^--${flag} must .*, not "`),
          );
        }
        expect(messageOf(() => read(name, [`--${flag}`]))).toContain(`--${flag}`);
      });
    }

    test("is explained with its variable and its default", () => {
      const [head, help] = settingsHelp([name]).split("\n") as [string, string];
      expect(head).toMatch(new RegExp(`^ {2}--${flag}( |$)`));
      expect(help.trim().length).toBeGreaterThan(variable.length + 10);
      expect(help).toEndWith(`; ${variable}`);
      const shown = typeof byDefault === "boolean" ? undefined : byDefault;
      if (shown !== undefined) expect(help).toContain(`(default ${shown})`);
    });
  });
}

describe("a secret from a file", () => {
  const folder = temporaryFolder();
  const fileWith = (content: string) => {
    const path = join(folder, crypto.randomUUID());
    writeFileSync(path, content);
    return path;
  };

  test("every secret is taken from it, by flag or by variable, without the end of its line", () => {
    for (const name of SECRET) {
      const { flag, variable, good } = EXPECTED[name];
      const [[text, value], [otherText]] = good as readonly [readonly [string, unknown], readonly [string]];
      const other = fileWith(otherText);
      for (const end of ["", "\n", "\r\n"]) {
        const path = fileWith(`${text}${end}`);
        expect(read(name, [`--${flag}-file`, path])).toBe(value);
        expect(read(name, [], { [`${variable}_FILE`]: path })).toBe(value);
        expect(read(name, [`--${flag}-file=${path}`], { [`${variable}_FILE`]: other })).toBe(value);
        expect(read(name, [], { [variable]: text, [`${variable}_FILE`]: "" })).toBe(value);
      }
      const help = settingsHelp([name]);
      expect(help).toContain(`--${flag}-file FILE`);
      expect(help).toEndWith(`; ${variable}_FILE`);
    }
  });

  test("is refused beside the value itself, whichever way either is given", () => {
    for (const name of SECRET) {
      const { flag, variable, good } = EXPECTED[name];
      const [text] = good[0] as readonly [string, unknown];
      const path = fileWith(text);
      for (const [direct, directEnv] of [
        [[`--${flag}`, text], {}] as const,
        [[], { [variable]: text }] as const,
      ])
        for (const [file, fileEnv] of [
          [[`--${flag}-file`, path], {}] as const,
          [[], { [`${variable}_FILE`]: path }] as const,
        ]) {
          const message = messageOf(() => read(name, [...direct, ...file], { ...directEnv, ...fileEnv }));
          expect(message).toMatch(
            new RegExp(`^(--${flag}|${variable}) and (--${flag}-file|${variable}_FILE) `),
          );
          expect(message).not.toContain(text);
        }
    }
  });

  test("names the file, and never shows what is in it, where it is of no use", () => {
    for (const name of SECRET) {
      const { flag, variable, bad } = EXPECTED[name];
      const refusal = (path: string) => messageOf(() => read(name, [`--${flag}-file`, path]));
      expect(refusal("/nowhere/secret")).toBe(`--${flag}-file "/nowhere/secret" cannot be read: ENOENT`);
      expect(refusal(folder)).toBe(`--${flag}-file "${folder}" cannot be read: EISDIR`);
      for (const content of ["", "\n"]) {
        const path = fileWith(content);
        expect(refusal(path)).toBe(`--${flag}-file "${path}" is empty`);
      }
      for (const text of bad) {
        const path = fileWith(`${text}\n`);
        expect(refusal(path)).toStartWith(`the content of --${flag}-file "${path}" must be `);
        expect(refusal(path)).not.toContain(text);
        const message = messageOf(() => read(name, [], { [`${variable}_FILE`]: path }));
        expect(message).toStartWith(`the content of ${variable}_FILE "${path}" must be `);
      }
    }
  });

  test("is only to be had for secrets", () => {
    expect(messageOf(() => readConfig(["data"], ["--data-file", "x"], {}))).toContain("--data-file");
  });
});

test("a flag of another command, an unknown one, and a loose word are refused by name", () => {
  expect(messageOf(() => readConfig(["data"], ["--port", "1"], {}))).toContain("--port");
  expect(messageOf(() => readConfig(["port"], ["--porte", "1"], {}))).toContain("--porte");
  expect(messageOf(() => readConfig(["port"], ["-p", "1"], {}))).toContain("-p");
  expect(messageOf(() => readConfig(["port"], ["--no-port"], {}))).toContain("--no-port");
  expect(messageOf(() => readConfig(["port"], ["8080"], {}))).toContain("8080");
  expect(messageOf(() => readConfig(["port"], ["--", "8080"], {}))).toContain("8080");
});

describe("a setting that was removed", () => {
  const removed = ["postgres-heartbeat-ms", "postgres-batch-size", "max-waiting-commands"];

  test("is refused by name, with what decides now, whichever command is given it", () => {
    expect(Object.keys(REMOVED_SETTINGS)).toEqual(removed);
    for (const flag of removed)
      for (const args of [[`--${flag}`, "5"], [`--${flag}=5`], ["--port", "1", `--${flag}`]])
        expect(messageOf(() => readConfig(["port"], args, {}))).toBe(
          `--${flag} was removed: ${REMOVED_SETTINGS[flag]}`,
        );
  });

  test("is reported, and nothing more, if its variable is set", () => {
    const env = { COFFER_POSTGRES_BATCH_SIZE: "200", COFFER_MAX_WAITING_COMMANDS: "", COFFER_PORT: "1" };
    expect(readConfig(["port"], [], env)).toEqual({ port: 1 });
    expect(removedVariables(env)).toEqual([
      { variable: "COFFER_POSTGRES_BATCH_SIZE", decides: expect.stringContaining("lag") },
    ]);
    expect(
      removedVariables({ COFFER_POSTGRES_HEARTBEAT_MS: "5", COFFER_MAX_WAITING_COMMANDS: "5" }),
    ).toHaveLength(2);
    expect(removedVariables({})).toEqual([]);
  });

  test("has a name that no setting has again", () => {
    for (const flag of removed)
      expect(NAMES.map((name) => SETTINGS[name].flag as string)).not.toContain(flag);
  });
});

test("what counts for a tail that a refusal names is refused without it, and says where to find it", () => {
  for (const name of ["remakeLostStream", "acceptGap", "remakeLostChanges"] as const) {
    const { flag } = SETTINGS[name];
    for (const args of [[`--${flag}`], [`--${flag}`, "--port", "1"], ["--port", "1", `--${flag}`]])
      expect(messageOf(() => readConfig([name, "port"], args, {}))).toMatch(
        new RegExp(`^--${flag} must be .*as reported by a start without this flag`),
      );
  }
});

test("only the settings that were asked for are read", () => {
  expect(
    readConfig(["port", "json"], ["--port", "1"], { COFFER_DATA: "x", COFFER_HOST: "not loopback" }),
  ).toEqual({ port: 1, json: false });
});

test("every setting has a flag and a variable of its own", () => {
  expect(new Set(NAMES.map((name) => SETTINGS[name].flag)).size).toBe(NAMES.length);
  expect(new Set(NAMES.map(variableOf)).size).toBe(NAMES.length);
});
