/** GET /metrics: what Prometheus reads. */

import { expect, test } from "bun:test";
import { CofferNode, coffer, RUNTIME_NAMES } from "../support/coffer.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/folders.ts";
import { PostgresServer } from "../support/postgres.ts";

/** Every sample by its name and labels. */
async function scrape(node: CofferNode): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${node.url}/metrics`);
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

test.each(RUNTIME_NAMES)("under %s: the log's end, whether commands are taken, memory", async (runtime) => {
  const node = await CofferNode.start(temporaryFolder(), { runtime });
  await node.client.deposit("alice", 5);
  const { seq } = await node.client.ledger();
  const [metrics, ...others] = await Promise.all([scrape(node), scrape(node), scrape(node)]);
  for (const same of [metrics, ...others]) expect(same.get("coffer_log_seq")).toBe(seq);
  expect(metrics.get("coffer_taking_commands")).toBe(1);
  expect(metrics.get("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(metrics.has('coffer_postgres_lag{topic="ledger",partition="0"}')).toBe(false);
  expect(await node.stop()).toBe(0);
});

test("a database that is refused counts as halted", async () => {
  const server = await PostgresServer.start();
  const url = await server.createDatabase();
  expect((await coffer(["postgres", "migrate", "--postgres-url", url])).code).toBe(0);
  const node = await CofferNode.start(temporaryFolder(), {
    flags: ["--postgres-url", url, "--postgres-partitions", "2"],
  });
  for (const partition of [0, 1]) {
    const halted = `coffer_postgres_halted{topic="ledger",partition="${partition}"}`;
    await eventually("it is told", async () => (await scrape(node)).get(halted) === 1);
  }
  expect(await node.stop()).toBe(0);
  await server.stop();
});

test("how far PostgreSQL lags, also while it is away", async () => {
  const server = await PostgresServer.start();
  const lag = 'coffer_postgres_lag{topic="ledger",partition="0"}';
  const node = await CofferNode.start(temporaryFolder(), {
    flags: ["--postgres-url", await server.createDatabase()],
  });
  await node.client.deposit("alice", 5);
  await eventually("all is written", async () => (await scrape(node)).get(lag) === 0);
  expect((await scrape(node)).get('coffer_postgres_leading{topic="ledger",partition="0"}')).toBe(1);
  await server.stop();
  await node.client.deposit("alice", 6);
  await eventually("two events are not", async () => (await scrape(node)).get(lag) === 2);
  await server.restart();
  await eventually("they are", async () => (await scrape(node)).get(lag) === 0);
  expect(await node.stop()).toBe(0);
  await server.stop();
});
