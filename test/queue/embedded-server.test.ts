/** The nats-server that a node carries: started, started again, stopped, and never two on one store. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import type { LogFacts } from "../../src/ports/node-log.ts";
import { EmbeddedServer } from "../../src/queue/embedded-server.ts";
import { QueueRefused } from "../../src/queue/nats-queue.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { isRunning, ROOT } from "../../tools/harness/processes.ts";

const EXECUTABLE = join(ROOT, "build", "tools", "coffer-nats");
const TOKEN = "a-token-that-nobody-may-see";

const servers: EmbeddedServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop(5_000))));

function carry(store = temporaryFolder(), executable = EXECUTABLE) {
  const reports: LogFacts[] = [];
  const server = new EmbeddedServer([() => executable], store, TOKEN, (_level, _message, facts) => {
    reports.push(facts);
  });
  servers.push(server);
  const pauses = () =>
    reports.filter(({ event }) => event === "nats_server_ended").map(({ restartMs }) => restartMs);
  return { server, store, pauses };
}

/** An executable that is no nats-server. */
function script(text: string): string {
  const path = join(temporaryFolder(), "server");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Another server on the store. */
async function hold(store: string): Promise<EmbeddedServer> {
  const { server } = carry(store);
  await server.endpoint();
  return server;
}

/** A node whose store another server holds: it takes its time. */
let refused: { readonly holder: EmbeddedServer; readonly node: CofferNode };
beforeAll(async () => {
  const data = temporaryFolder();
  refused = { holder: await hold(join(data, "nats")), node: CofferNode.launch(data) };
});

test("it is reached with its token only, which no other user of the machine can read", async () => {
  const { server } = carry();
  const [endpoint, same] = await Promise.all([server.endpoint(), server.endpoint()]);
  expect(same).toEqual(endpoint);
  const connection = await connect({ ...endpoint, reconnect: false });
  expect(connection.info).toMatchObject({ jetstream: true, max_payload: 8 << 20, host: "127.0.0.1" });
  await connection.close();
  await expect(connect({ servers: endpoint.servers, reconnect: false })).rejects.toThrow(/authorization/i);
  const said = readFileSync(`/proc/${server.pid}/cmdline`, "latin1");
  expect(said).toContain("coffer-nats");
  expect(said).not.toContain(TOKEN);
  await server.stop(5_000);
});

test("one that was killed is started again, after a longer pause each time", async () => {
  const { server, pauses } = carry();
  const ports = new Set<unknown>();
  for (let time = 1; time <= 4; time++) {
    ports.add((await server.endpoint()).servers);
    const pid = server.pid as number;
    process.kill(pid, "SIGKILL");
    await eventually("its end was noticed", () => pauses().length === time);
    expect(isRunning(pid)).toBe(false);
  }
  expect(pauses()).toEqual([100, 200, 400, 800]);
  await connect({ ...(await server.endpoint()), reconnect: false }).then((connection) => connection.close());
  await server.stop(5_000);
});

test("one that does not start says why, and is tried again after a pause that is bounded", async () => {
  const { server, pauses } = carry(undefined, script("echo no room >&2; exit 1"));
  for (let time = 1; time <= 4; time++)
    await expect(server.endpoint()).rejects.toThrow("nats-server exited with 1: no room");
  expect(pauses()).toEqual([100, 200, 400, 800]);
  const { server: silent } = carry(undefined, script("exit 7"));
  await expect(silent.endpoint()).rejects.toThrow("nats-server exited with 7: no output");
});

test("it is given the time that its node waits for its start", async () => {
  const { server } = carry(undefined, script('echo "$@" >&2; exit 1'));
  await expect(server.endpoint()).rejects.toThrow("-start-timeout 60000ms");
});

test("one that cannot be run at all refuses the node", async () => {
  const nothing = join(temporaryFolder(), "nothing");
  const { server } = carry(undefined, nothing);
  await expect(server.endpoint()).rejects.toThrow(QueueRefused);
  await expect(server.endpoint()).rejects.toThrow(/nothing.*noexec.*NATS_URL/);
});

test("one that cannot be run from a place is run from the next, and from there again", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "coffer-nats");
  const forbidden = script("exit 1");
  chmodSync(forbidden, 0o600);
  const asked: string[] = [];
  const places = [
    () => {
      asked.push("full");
      throw new Error("ENOSPC");
    },
    () => {
      asked.push("forbidden");
      return forbidden;
    },
    () => {
      asked.push("good");
      copyFileSync(EXECUTABLE, path);
      return path;
    },
    () => {
      throw new Error("not needed");
    },
  ];
  const server = new EmbeddedServer(places, temporaryFolder(), TOKEN, () => {});
  servers.push(server);
  const restart = async () => {
    const pid = server.pid;
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await eventually("it runs", async () => (await server.endpoint()) && server.pid !== pid);
  };
  await restart();
  await restart();
  expect(asked).toEqual(["full", "forbidden", "good"]);
  // Somebody tidied up: the places are tried again.
  rmSync(path);
  await restart();
  expect(asked).toEqual(["full", "forbidden", "good", "full", "forbidden", "good"]);
  await server.stop(5_000);
});

test("a store whose server is just ending is taken over", async () => {
  const { server, store } = carry();
  const holder = await hold(store);
  await expect(server.endpoint()).rejects.toThrow("is held by another process");
  await holder.stop(5_000);
  expect((await server.endpoint()).servers).toStartWith("127.0.0.1:");
  await server.stop(5_000);
});

test("a stop ends it, and no other is started", async () => {
  const { server, pauses } = carry();
  await server.endpoint();
  const pid = server.pid as number;
  await server.stop(5_000);
  expect([isRunning(pid), pauses()]).toEqual([false, []]);
  await expect(server.endpoint()).rejects.toThrow("the node is stopping");
  await server.stop(5_000);
});

test("a stop kills one that does not end by itself", async () => {
  const { server } = carry();
  await server.endpoint();
  const pid = server.pid as number;
  process.kill(pid, "SIGSTOP");
  await server.stop(300);
  expect(isRunning(pid)).toBe(false);
});

test("it ends when its node is killed, and leaves the store to the next one", async () => {
  const node = await CofferNode.start(temporaryFolder());
  const pid = await node.natsPid();
  expect(isRunning(pid)).toBe(true);
  await node.crash();
  const next = await CofferNode.start(node.data);
  await eventually("it has ended", () => !isRunning(pid));
  expect(await next.stop()).toBe(0);
});

test("a store that another server holds is waited for, and refused in the end", async () => {
  const { holder, node } = refused;
  expect(await node.process.exited).toBe(1);
  expect(node.process.stderr.at(-1)).toContain("is held by another process");
  expect(node.process.stderr.filter((line) => line.includes('"nats_server_ended"')).length).toBeGreaterThan(
    2,
  );
  expect(isRunning(holder.pid as number)).toBe(true);
});
