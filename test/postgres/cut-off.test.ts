/** A leader that is cut off from NATS leaves PostgreSQL to a node that is not. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { Asking } from "../support/ledger-in-postgres.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

test("a leader without its queue gives the lock back, and does not take it again before it has one", async () => {
  const [nats, server] = await Promise.all([NatsServer.start(temporaryFolder()), PostgresServer.start()]);
  const proxy = await TcpProxy.start(Number(new URL(nats.url).port));
  const asking = new Asking(server.url);
  const flags = ["--postgres-url", server.url, "--postgres-lease-ms", "500"];
  const start = (natsUrl: string) =>
    CofferNode.start(temporaryFolder(), { flags: ["--nats-url", natsUrl, ...flags] });
  const nameOf = ({ data }: CofferNode) => readFileSync(join(data, "node"), "utf8").trim();
  const seqOf = async ({ client }: CofferNode) => (await client.ledger()).seq;

  const cut = await start(`nats://127.0.0.1:${proxy.port}`);
  await cut.client.deposit("alice", 5);
  await asking.reached(await seqOf(cut));

  proxy.stop();
  await eventually(
    "it is given back",
    async () => (await asking.lock()).expires_ms === Number.NEGATIVE_INFINITY,
  );
  const { fencing_token } = await asking.lock();
  await Bun.sleep(500);
  expect((await asking.lock()).fencing_token).toBe(fencing_token);

  const other = await start(nats.url);
  expect((await other.client.deposit("alice", 6)).status).toBe(200);
  await asking.reached(await seqOf(other));
  expect((await asking.lock()).leader_svc_id).toBe(nameOf(other));
  expect(await Promise.all([cut.stop(), other.stop()])).toEqual([0, 0]);
  await asking.mustEqual(join(other.data, "events.log"));
  await asking.close();
  await nats.stop();
  await server.stop();
});
