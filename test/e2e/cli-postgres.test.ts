/** coffer postgres: migrate, status, check, rebuild; and where it is not to be had. */

import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer, RUNTIMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort, NatsServer } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Asking, ledgerFolder } from "../support/ledger-in-postgres.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

let server: PostgresServer;
let folder: string;
let seq: number;

beforeAll(async () => {
  server = await PostgresServer.start();
  const ledger = await ledgerFolder(5_000, randomIntegers());
  folder = ledger.folder;
  seq = ledger.log.ends.at(-1)!.seq;
});

const postgres = (action: string, url: string, ...flags: string[]) =>
  coffer(["postgres", action, "--data", folder, "--postgres-url", url, ...flags]);

test("migrate brings an empty database up to date, once", async () => {
  const url = await server.createDatabase();
  const first = await postgres("migrate", url);
  expect([first.code, first.stderr]).toEqual([0, ""]);
  expect(first.stdout).toStartWith("applied 1");
  expect(await postgres("migrate", url)).toEqual({ code: 0, stdout: "nothing to migrate", stderr: "" });
  expect(await postgres("check", url)).toEqual({
    code: 0,
    stdout: "ok, but nothing of this ledger has been written to the database yet",
    stderr: "",
  });
  const other = await postgres("migrate", url, "--postgres-partitions", "2");
  expect([other.code, other.stdout]).toEqual([1, ""]);
  expect(other.stderr).toContain("1 partitions, not 2");
});

test("rebuild fills the database from the log; check finds it equal, and then the first difference", async () => {
  const url = await server.createDatabase();
  const partitions = ["--postgres-partitions", "2"];
  const filled = await postgres("rebuild", url, ...partitions);
  expect([filled.code, filled.stdout]).toEqual([
    0,
    `rebuilt up to seq ${seq}\na halted node resumes automatically`,
  ]);
  const asking = new Asking(url);
  await asking.mustEqual(join(folder, "events.log"), 2);
  const equal = await postgres("check", url);
  expect([equal.code, equal.stderr]).toEqual([0, ""]);
  expect(equal.stdout).toMatch(new RegExp(`^ok: [0-9]+ balances as of seq ${seq}$`));

  const status = await postgres("status", url);
  expect(status.code).toBe(0);
  expect(status.stdout).toMatch(
    new RegExp(`^ledger/1  offset ${seq}  crc [0-9a-f]{8}  token 2  no leader$`, "m"),
  );
  expect(status.stdout).toMatch(new RegExp(`^ledger: .* ${seq}$`, "m"));

  const expectDifference = async (text: string) => {
    const { code, stdout, stderr } = await postgres("check", url);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(text);
  };
  await asking.sql`UPDATE account_balances SET available = available + 1 WHERE account_id = 'account-7'`;
  await expectDifference("account-7");
  await asking.sql`DELETE FROM account_balances WHERE account_id = 'account-7'`;
  await expectDifference("the database has none");
  await asking.sql`UPDATE partition_leader_locks SET crc = '00000001' WHERE topic = 'ledger' AND partition = 1`;
  await expectDifference("partition 1 has crc 00000001");
  await asking.sql`UPDATE partition_leader_locks SET commit_offset = commit_offset + 1 WHERE topic = 'ledger'`;
  await expectDifference("the log ends at");

  expect((await postgres("rebuild", url, ...partitions)).code).toBe(0);
  await asking.mustEqual(join(folder, "events.log"), 2);
  expect((await postgres("check", url)).code).toBe(0);
  await asking.close();
});

test("rebuild empties nothing before it knows that it can fill it again", async () => {
  const url = await server.createDatabase();
  expect((await postgres("rebuild", url)).code).toBe(0);
  const asking = new Asking(url);
  const refuses = async (why: string, change: (data: string, bytes: Buffer) => void) => {
    const data = temporaryFolder();
    cpSync(folder, data, { recursive: true });
    change(data, readFileSync(join(data, "events.log")));
    const { code, stdout, stderr } = await coffer([
      ...["postgres", "rebuild", "--data", data],
      ...["--postgres-url", url],
    ]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(why);
    await asking.mustEqual(join(folder, "events.log"));
  };
  await refuses("no complete events.mark", (data) => rmSync(join(data, "events.mark")));
  await refuses("shorter", (data, bytes) =>
    writeFileSync(join(data, "events.log"), bytes.subarray(0, bytes.length >> 1)),
  );
  await refuses("damaged", (data, bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(data, "events.log"), bytes);
  });
  await asking.sql`UPDATE partition_leader_locks SET ledger_id = gen_random_uuid() WHERE topic = 'ledger'`;
  await refuses("the database belongs to ledger", () => {});
  await asking.close();
});

test("rebuild says what it waits for", async () => {
  const url = await server.createDatabase();
  expect((await postgres("migrate", url)).code).toBe(0);
  const asking = new Asking(url);
  await asking.sql`ALTER TABLE account_balances ADD CHECK (updated_msec < 0)`;
  const rebuilding = new TestProcess(RUNTIMES["the compiled executable"][0], [
    ...["postgres", "rebuild", "--data", folder],
    ...["--postgres-url", url],
  ]);
  await rebuilding.line(/the PostgreSQL writer retries: .*account_balances_updated_msec_check/);
  await rebuilding.crash();
  await asking.close();
});

test("rebuild under a running node deposes it, and the database comes right", async () => {
  const url = await server.createDatabase();
  const data = temporaryFolder();
  const node = await CofferNode.start(data, { flags: ["--postgres-url", url] });
  for (let number = 0; number < 50; number++) await node.client.deposit(`account-${number}`, number + 1);
  const asking = new Asking(url);
  await asking.reached((await node.client.ledger()).seq);
  const rebuilt = await coffer(["postgres", "rebuild", "--data", data, "--postgres-url", url]);
  expect([rebuilt.code, rebuilt.stderr]).toEqual([0, ""]);
  await node.client.deposit("bob", 5);
  await asking.reached((await node.client.ledger()).seq);
  expect(await node.stop()).toBe(0);
  expect((await asking.lock()).expires_ms).toBe(Number.NEGATIVE_INFINITY);
  await asking.mustEqual(join(data, "events.log"));
  await asking.close();
});

test("nodes that have halted write again after a rebuild, without a restart", async () => {
  const nats = await NatsServer.start(temporaryFolder());
  const url = await server.createDatabase();
  const secret = join(temporaryFolder(), "postgres-url");
  writeFileSync(secret, `${url}\n`);
  const flags = ["--postgres-url-file", secret, "--nats-url", nats.url];
  const nodes = [
    await CofferNode.start(temporaryFolder(), { flags }),
    await CofferNode.start(temporaryFolder(), { flags }),
  ];
  const [node] = nodes as [CofferNode];
  const asking = new Asking(url);
  const written = async () => asking.reached((await node.client.ledger()).seq);
  const halted = async (value: 0 | 1) => {
    for (const { client } of nodes)
      await eventually(`it says ${value}`, async () => {
        const { text } = await client.get("/metrics");
        return text.includes(`coffer_postgres_halted{topic="ledger",partition="0"} ${value}`);
      });
  };
  await node.client.deposit("alice", 100);
  await written();
  await asking.sql`UPDATE account_balances SET available = 0 WHERE account_id = 'alice'`;
  await node.client.withdraw("alice", 60);
  // Each finds it once, when it leads.
  await halted(1);
  const { fencing_token } = await asking.lock();
  await node.client.withdraw("alice", 1);
  await halted(1);
  expect((await asking.lock()).fencing_token).toBe(fencing_token);

  const rebuilt = await coffer(["postgres", "rebuild", "--data", node.data, "--postgres-url-file", secret]);
  expect([rebuilt.code, rebuilt.stderr]).toEqual([0, ""]);
  await halted(0);
  await node.client.deposit("bob", 5);
  await written();
  await asking.mustEqual(join(node.data, "events.log"));
  for (const each of nodes) {
    await each.process.line(/"event":"postgres_halted"/);
    await each.process.line(/"event":"postgres_resumed"/);
    expect(await each.stop()).toBe(0);
  }
  await asking.close();
  await nats.stop();
});

test("a database that was refused is written when it has become right", async () => {
  const url = await server.createDatabase();
  expect((await postgres("migrate", url, "--postgres-partitions", "2")).code).toBe(0);
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--postgres-url", url] });
  await node.process.line(/"event":"postgres_refused".*2 partitions, not 1/);
  const asking = new Asking(url);
  await asking.sql`DROP SCHEMA public CASCADE`;
  await asking.sql`CREATE SCHEMA public`;
  await node.client.deposit("alice", 1);
  await asking.reached((await node.client.ledger()).seq);
  expect(await node.stop()).toBe(0);
  await asking.close();
});

test("a server that has fallen silent does not keep a node from stopping", async () => {
  const proxy = await TcpProxy.start(server.port);
  const url = new URL(await server.createDatabase());
  const asking = new Asking(url.href);
  url.port = String(proxy.port);
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--postgres-url", url.href] });
  await asking.reached(1);
  proxy.holdRequests();
  await node.client.deposit("alice", 1);
  expect(await node.stop()).toBe(0);
  proxy.stop();
  await asking.close();
});

describe("a server that is not there", () => {
  test("exits 1 with its reason, for every action", async () => {
    const url = `postgres://u:secret@127.0.0.1:${await freePort()}/db`;
    for (const action of ["migrate", "status", "check", "rebuild"]) {
      const { code, stdout, stderr } = await postgres(action, url);
      expect([action, code, stdout]).toEqual([action, 1, ""]);
      expect(stderr.split("\n")).toHaveLength(1);
      expect(stderr).toContain(
        `cannot connect to PostgreSQL at 127.0.0.1:${new URL(url).port}: connect ECONNREFUSED`,
      );
      expect(stderr).not.toContain("secret");
    }
  });

  test("never hurts the wallet, and is found when it comes", async () => {
    const data = temporaryFolder();
    const port = await freePort();
    const away = `postgres://coffer:throw-away@127.0.0.1:${port}/postgres`;
    const node = await CofferNode.start(data, { flags: ["--postgres-url", away] });
    expect((await node.client.deposit("alice", 100)).status).toBe(200);
    const line = await node.process.line(/"event":"postgres_away"/);
    expect(line.input).toContain(`cannot connect to PostgreSQL at 127.0.0.1:${port}: connect ECONNREFUSED`);
    expect(line.input).not.toContain("throw-away");
    const late = await PostgresServer.start(temporaryFolder(), [], port);
    const asking = new Asking(late.url);
    await asking.reached((await node.client.ledger()).seq);
    await late.crash();
    expect((await node.client.withdraw("alice", 30)).status).toBe(200);
    expect(await node.stop()).toBe(0);
    await asking.close();
  });
});

describe("under Deno", () => {
  test("serve refuses the setting, and says why", async () => {
    const data = temporaryFolder();
    const { code, stderr } = await coffer(
      ["serve", "--data", data, "--port", "0", "--postgres-url", server.url],
      "Deno",
    );
    expect(code).toBe(1);
    expect(stderr).toContain("--postgres-url requires Bun");
  });

  test("coffer postgres says why as well, and the rest starts", async () => {
    const { code, stderr } = await coffer(["postgres", "status", "--postgres-url", server.url], "Deno");
    expect([code, stderr]).toEqual([1, expect.stringContaining("requires Bun")]);
    const node = await CofferNode.start(temporaryFolder(), { runtime: "Deno" });
    await eventually("it is ready", async () => (await node.client.get("/health/ready")).status === 200);
    expect(await node.stop()).toBe(0);
  });
});
