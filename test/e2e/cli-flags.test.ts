/** Flags, environment variables, help and exit codes. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { CofferNode, coffer, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort, NatsServer } from "../../tools/harness/nats.ts";

/** What each command takes, and a value that each flag must refuse. Switches refuse any value. */
const FLAGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  serve: {
    data: "",
    host: "*",
    port: "65536",
    "tls-cert": "",
    "tls-key": "",
    currency: "usd",
    strict: "yes",
    "nats-url": "",
    "nats-url-file": "",
    "stream-max-bytes": "1e9",
    "stream-replicas": "0",
    "remake-lost-stream": "true",
    "accept-gap": "true",
    "remake-lost-changes": "true",
    "postgres-url": "mysql://127.0.0.1/x",
    "postgres-url-file": "/nowhere",
    "postgres-partitions": "0",
    "postgres-lease-ms": "99",
    "gateway-threads": "0",
    "outcome-timeout-ms": "10s",
    "max-body-bytes": "4 MiB",
    "max-connections": "0",
    "min-free-bytes": "1.5",
    "snapshot-commands": "1e6",
    "seal-commands": "100001",
    "drain-delay-ms": "-1",
    "shutdown-timeout-ms": "99",
    "log-level": "INFO",
  },
  replay: { data: "", "from-snapshot": "1", json: "yes" },
  verify: { data: "", seals: "1", seal: "0a" },
  seal: { data: "", json: "yes" },
  keys: { data: "", scope: "all", account: "@world", json: "yes" },
  backup: { data: "", to: "", json: "yes" },
  queue: { "nats-url": "", "nats-url-file": "/nowhere" },
  postgres: {
    data: "",
    "postgres-url": "127.0.0.1:5432",
    "postgres-url-file": "",
    "postgres-partitions": "1.5",
    "postgres-lease-ms": "99",
  },
  version: {},
};
const SWITCHES = ["strict", "from-snapshot", "seals", "json"];

const variableOf = (flag: string) =>
  flag.startsWith("nats-url")
    ? flag.toUpperCase().replaceAll("-", "_")
    : `COFFER_${flag.toUpperCase().replaceAll("-", "_")}`;

const flagsOf = (command: string) => Object.keys(FLAGS[command]!);

describe.each(Object.keys(FLAGS))("coffer %s", (command) => {
  test("--help lists every flag, each with its environment variable, and nothing else", async () => {
    const { code, stdout, stderr } = await coffer([command, "--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith(`usage: coffer ${command}`);
    const entries = stdout.split(/^ {2}(?=--)/m).slice(1);
    expect(entries.map((entry) => /^--([a-z-]+)/.exec(entry)?.[1])).toEqual(flagsOf(command));
    for (const entry of entries) {
      const variable = variableOf(/^--([a-z-]+)/.exec(entry)![1]!);
      expect(entry).toMatch(new RegExp(`\\b${variable}\\b`));
    }
  });

  test("a flag that it does not know, or a stray word, exits 2 and is named", async () => {
    for (const stray of ["--no-such-flag", "-x", "stray"]) {
      const { code, stdout, stderr } = await coffer([command, stray]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain(WORDS[command]?.split(" ")[0] ?? stray);
      expect(stderr).not.toContain("    at ");
    }
  });
});

const wrong = Object.entries(FLAGS).flatMap(([command, flags]) =>
  Object.entries(flags).map(([flag, value]) => ({ command, flag, value })),
);

/** Some have a word of their own before the flags. */
const WORDS: Readonly<Record<string, string>> = { keys: "add shop", queue: "nodes", postgres: "migrate" };
const before = (command: string) => [command, ...(WORDS[command]?.split(" ") ?? [])];

test("a wrong value exits 2 and names its flag", async () => {
  await inTurns(wrong, async ({ command, flag, value }) => {
    const { code, stdout, stderr } = await coffer([...before(command), `--${flag}=${value}`]);
    expect([command, flag, code, stdout]).toEqual([command, flag, 2, ""]);
    expect(stderr).toContain(`--${flag}`);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

test("a flag without its value exits 2 and is named", async () => {
  const valued = wrong.filter(({ flag }) => !SWITCHES.includes(flag));
  await inTurns(valued, async ({ command, flag }) => {
    const { code, stderr } = await coffer([...before(command), `--${flag}`]);
    expect([command, flag, code]).toEqual([command, flag, 2]);
    expect(stderr).toContain(`--${flag}`);
  });
});

test("a wrong value in the environment exits 2 and names its variable", async () => {
  // An empty variable is one that is not set.
  const values = wrong.filter(({ value }) => value !== "");
  await inTurns(values, async ({ command, flag, value }) => {
    const env = { [variableOf(flag)]: value };
    const { code, stdout, stderr } = await coffer(before(command), "the compiled executable", env);
    expect([command, flag, code, stdout]).toEqual([command, flag, 2, ""]);
    expect(stderr).toContain(variableOf(flag));
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

test("a setting that was removed exits 2 as a flag, and is reported in the log as a variable", async () => {
  for (const command of ["serve", "postgres"]) {
    const { code, stdout, stderr } = await coffer([...before(command), "--postgres-heartbeat-ms", "100"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toStartWith(`coffer ${command}: --postgres-heartbeat-ms was removed: `);
  }
  const node = await CofferNode.start(temporaryFolder(), { env: { COFFER_MAX_WAITING_COMMANDS: "5" } });
  expect(await node.stop()).toBe(0);
  const lines = node.process.stderr.map((line) => JSON.parse(line));
  expect(lines.filter(({ event }) => event === "setting_removed")).toEqual([
    expect.objectContaining({ level: 40, variable: "COFFER_MAX_WAITING_COMMANDS" }),
  ]);
});

test("without keys only loopback addresses are listened on", async () => {
  const hosts = [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "192.168.1.1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "example.com",
    "127.0.0.1.example.com",
  ];
  await inTurns(hosts, async (host) => {
    const data = temporaryFolder();
    const { code, stdout, stderr } = await coffer(["serve", "--host", host, "--data", data]);
    expect([host, code, stdout]).toEqual([host, 2, ""]);
    expect(stderr).toContain(`--host ${host}`);
    expect(stderr).toContain("coffer keys add");
    expect(contentsOf(data)).toEqual({});
  });
});

test.each(["127.0.0.1", "localhost", "127.0.0.2", "::1"])("--host %s is listened on", async (host) => {
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--host", host] });
  expect(new URL(node.url).hostname).toBe(host === "::1" ? "[::1]" : host);
  expect((await node.client.deposit("alice", 1)).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

test("a flag wins over its variable, and a variable over the default", async () => {
  const [byFlag, byVariable] = [temporaryFolder(), temporaryFolder()];
  const env = { COFFER_DATA: byVariable, COFFER_CURRENCY: "EUR", COFFER_PORT: "1", COFFER_STRICT: "true" };
  const node = await CofferNode.start(byFlag, { flags: ["--currency", "CHF"], env });
  expect((await node.client.open("alice", 3)).body.currency).toBe("CHF");
  expect((await node.client.deposit("nobody", 3)).body.code).toBe("account_not_found");
  expect(await node.stop()).toBe(0);
  const { code, stderr } = await coffer(["verify"], "the compiled executable", { COFFER_DATA: byFlag });
  expect([code, stderr]).toEqual([0, ""]);
  const other = await coffer(["verify"], "the compiled executable", { COFFER_DATA: byVariable });
  expect(other.code).toBe(1);
  expect(other.stderr).toContain(join(byVariable, "events.log"));
});

test("NATS_URL is the server that is used; --nats-url wins; COFFER_NATS_URL is nothing", async () => {
  const nats = await NatsServer.start(temporaryFolder());
  const nowhere = `nats://127.0.0.1:${await freePort()}`;
  const ways = [
    { env: { NATS_URL: nats.url } },
    { env: { NATS_URL: nowhere }, flags: ["--nats-url", nats.url] },
    { env: { NATS_URL: nats.url, COFFER_NATS_URL: nowhere } },
  ];
  for (const way of ways) {
    const node = await CofferNode.start(temporaryFolder(), way);
    const opened = await node.process.line(/.*"queue_open".*/);
    expect(JSON.parse(opened[0]).server).toBe(`127.0.0.1:${nats.port}`);
    expect(node.process.stderr.join("\n")).not.toContain("nats_server_started");
    expect(await node.stop()).toBe(0);
  }
  await nats.stop();
});

test("a secret may be in a file instead of a flag, but not both", async () => {
  const nats = await NatsServer.start(temporaryFolder());
  const file = join(temporaryFolder(), "nats-url");
  writeFileSync(file, `${nats.url}\n`);
  const node = await CofferNode.start(temporaryFolder(), { env: { NATS_URL_FILE: file } });
  const nodes = await coffer(["queue", "nodes", "--nats-url-file", file]);
  expect([nodes.code, nodes.stdout.includes("the stream COFFER_COMMANDS"), nodes.stderr]).toEqual([
    0,
    true,
    "",
  ]);
  expect(await node.stop()).toBe(0);
  await nats.stop();
  const url = "postgres://u:s3cret@127.0.0.1/x";
  for (const [command, flag, value] of [
    [["queue", "nodes"], "nats-url", nats.url],
    [["serve", "--data", temporaryFolder()], "postgres-url", url],
    [["postgres", "status"], "postgres-url", url],
  ] as const) {
    const { code, stdout, stderr } = await coffer([...command, `--${flag}`, value, `--${flag}-file`, file]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`--${flag} and --${flag}-file are mutually exclusive`);
    expect(stderr).not.toContain("s3cret");
  }
});

test("the nodes of a NATS server that never had any are none, and the server stays as it was", async () => {
  const nats = await NatsServer.start(temporaryFolder());
  const none = await coffer(["queue", "nodes", "--nats-url", nats.url]);
  expect(none).toEqual({ code: 0, stdout: "", stderr: "" });
  const connection = await nats.connect();
  const manager = await jetstreamManager(connection);
  expect((await manager.getAccountInfo()).streams).toBe(0);
  await connection.close();
  const wrong = await coffer(["queue", "forget", "a b", "--nats-url", nats.url]);
  expect([wrong.code, wrong.stdout]).toEqual([2, ""]);
  expect(wrong.stderr).toContain("NODE");
  await nats.stop();
});

test("a NATS server that cannot be reached is told in one line, without the password in its URL", async () => {
  const url = `nats://user:secret@127.0.0.1:${await freePort()}`;
  const { code, stdout, stderr } = await coffer(["queue", "nodes", "--nats-url", url]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr.split("\n")).toHaveLength(1);
  expect(stderr).toStartWith("coffer queue: ");
  expect(stderr).not.toContain("secret");
});

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("the version names the log format and the runtime", async () => {
    for (const name of ["version", "--version"]) {
      const { code, stdout } = await coffer([name], runtime);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^coffer [0-9]+\.[0-9]+\.[0-9]+ \(log format 1, (bun|deno) [0-9.]+\)$/);
      expect(stdout).toContain(runtime === "Deno" ? "deno" : "bun");
    }
  });

  test("without a command, or with one that there is not, coffer exits 2 and says what there is", async () => {
    const overview = await coffer(["--help"], runtime);
    expect(overview.code).toBe(0);
    for (const command of Object.keys(FLAGS))
      expect(overview.stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    expect(await coffer([], runtime)).toEqual({ code: 2, stdout: "", stderr: overview.stdout });
    for (const name of ["serv", "constructor", "--data"]) {
      const { code, stdout, stderr } = await coffer([name], runtime);
      expect([name, code, stdout]).toEqual([name, 2, ""]);
      expect(stderr).toContain(`"${name}"`);
    }
  });
});

test("the log of the process goes to stderr as lines of JSON, and stdout has the address alone", async () => {
  const node = await CofferNode.start(temporaryFolder());
  expect(await node.stop()).toBe(0);
  expect(node.process.stdout).toEqual([`listening on ${node.url}`]);
  expect(node.process.stderr.length).toBeGreaterThan(2);
  for (const line of node.process.stderr)
    expect(JSON.parse(line)).toMatchObject({
      level: expect.any(Number),
      event: expect.stringMatching(/^[a-z_]+$/),
      msg: expect.any(String),
    });
  const quiet = await CofferNode.start(temporaryFolder(), { flags: ["--log-level", "error"] });
  expect(await quiet.stop()).toBe(0);
  expect(quiet.process.stderr).toEqual([]);
});

/** A few at a time: each is a process. */
async function inTurns<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}
