/** GET /metrics: what Prometheus reads. */

import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { CofferNode, coffer, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { parseExposition } from "../support/exposition.ts";

/** Every sample by its name and labels. */
async function scrape(node: CofferNode): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${node.url}/metrics`);
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return new Map([...parseExposition(await response.text()).values()].flatMap(({ samples }) => [...samples]));
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

test.each(RUNTIME_NAMES)("under %s: a scrape at any gateway tells what all threads did", async (runtime) => {
  const threads = runtime === "Deno" ? 1 : 3;
  const node = await CofferNode.start(temporaryFolder(), {
    runtime,
    flags: ["--gateway-threads", String(threads), "--snapshot-commands", "5"],
  });
  const { client } = node;
  const payment = () => ({
    transaction_id: randomUUID(),
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  });
  await client.open("alice", 10);
  const first = payment();
  // A connection each, so that every gateway answers some.
  const alone = { "content-type": "application/json", connection: "close" };
  for (const request of [first, first, payment(), payment(), { ...payment(), amount: 50 }])
    await client.post("/v1/wallet/transfer", request, alone);
  await client.transfer({ ...first, amount: 2 });
  await client.transfers([payment(), payment(), first]);
  await client.transfer({ ...payment(), amount: 0 });
  await client.open("alice", 11);
  await client.get("/v1/wallet/balance/bob");
  await client.get("/v1/wallet/nothing");
  for (let scrapes = 0; scrapes < 4; scrapes++) {
    const metrics = await scrape(node);
    const of = (prefix: string) =>
      Object.fromEntries([...metrics].filter(([name, value]) => name.startsWith(prefix) && value > 0));
    expect(of("coffer_commands_total")).toEqual({
      'coffer_commands_total{outcome="committed"}': 5,
      'coffer_commands_total{outcome="opened"}': 1,
      'coffer_commands_total{outcome="repeated"}': 2,
      'coffer_commands_total{outcome="rejected",reason="insufficient_funds"}': 1,
      'coffer_commands_total{outcome="refused",reason="transaction_id_conflict"}': 1,
      'coffer_commands_total{outcome="refused",reason="account_exists"}': 1,
    });
    expect(of('coffer_http_requests_total{route="/v1')).toEqual({
      'coffer_http_requests_total{route="/v1/wallet/transfer",status="200"}': 4,
      'coffer_http_requests_total{route="/v1/wallet/transfer",status="400"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/transfer",status="409"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/transfer",status="422"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/transfers",status="200"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/accounts",status="201"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/accounts",status="409"}': 1,
      'coffer_http_requests_total{route="/v1/wallet/balance/:account_id",status="200"}': 1,
    });
    expect(metrics.get('coffer_http_requests_total{route="other",status="404"}')).toBe(1);
    expect(metrics.get('coffer_http_request_duration_seconds_count{kind="transfer"}')).toBe(9);
    expect(metrics.get('coffer_http_request_duration_seconds_count{kind="read"}')).toBe(1);
    // The ledger's opening too.
    expect(metrics.get("coffer_batch_commands_sum")).toBe(12);
    expect(metrics.get("coffer_log_write_size_bytes_sum")).toBe(metrics.get("coffer_log_bytes"));
  }
  const rest = await scrape(node);
  for (const name of ["process_cpu_seconds_total", "process_start_time_seconds", "coffer_disk_free_bytes"])
    expect([name, rest.get(name)]).toEqual([name, expect.any(Number)]);
  await eventually("every thread tells of its loop", async () => {
    const metrics = await scrape(node);
    const names = ["engine", ...Array.from({ length: threads }, (_, number) => `gateway-${number}`)];
    return names.every(
      (thread) =>
        (metrics.get(`coffer_event_loop_lag_seconds_count{thread="${thread}"}`) ?? 0) > 0 &&
        (metrics.get(`coffer_heap_bytes{thread="${thread}"}`) ?? 0) > 0,
    );
  });
  await eventually("the stream was looked at", async () => {
    const metrics = await scrape(node);
    const fill = metrics.get("coffer_queue_fill_ratio") ?? 0;
    return fill > 0 && metrics.get("coffer_queue_waiting_messages") === 0;
  });
  await eventually("a snapshot was taken at rest", async () => {
    const metrics = await scrape(node);
    const at = metrics.get("coffer_snapshot_timestamp_seconds") ?? 0;
    return (
      (metrics.get("coffer_snapshots_total") ?? 0) > 0 &&
      at > 1e9 &&
      (metrics.get("coffer_snapshot_seq") ?? 0) > 5
    );
  });
  expect(await node.stop()).toBe(0);
});

test("a queue that was away shows as another session, commands of outsiders and what is none are counted", async () => {
  const server = await NatsServer.start(temporaryFolder());
  const node = await CofferNode.start(temporaryFolder(), { flags: ["--nats-url", server.url] });
  await node.client.open("alice", 10);
  const connection = await server.connect();
  const given = { transaction_id: randomUUID(), from_account: "alice", to_account: "bob", amount: 1 };
  connection.publish("coffer.commands.0", JSON.stringify(given));
  connection.publish("coffer.commands.0", "nothing");
  await connection.flush();
  await connection.close();
  await eventually("both are read", async () => {
    const metrics = await scrape(node);
    return ["outside_commands", "malformed_messages"].every((of) => metrics.get(`coffer_${of}_total`) === 1);
  });
  expect((await scrape(node)).get("coffer_queue_sessions_total")).toBe(1);
  await server.crash();
  await eventually("it is away", async () => {
    const metrics = await scrape(node);
    return metrics.get("coffer_taking_commands") === 0 && !metrics.has("coffer_queue_fill_ratio");
  });
  const back = await server.restart();
  await eventually("it is there again", async () => {
    const metrics = await scrape(node);
    return metrics.get("coffer_taking_commands") === 1 && metrics.get("coffer_queue_sessions_total") === 2;
  });
  expect(await node.stop()).toBe(0);
  await back.stop();
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
