/** Peers that are slow, silent, or never read, and more of them than may be: they are cut, and others are served. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { CofferNode, type RuntimeName } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

const RUNTIMES: readonly RuntimeName[] = ["the compiled executable", "Deno"];
const DRIP_MS = 1_000;
const LIVE = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST = "POST /v1/wallet/transfer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
/** More than fits into what a peer's kernel takes, and less than makes the server give up at once. */
const UNREAD = 1_500;

/** What a peer sends at first, and then again and again. */
const PEERS: Readonly<Record<string, readonly [first: string, drip: string]>> = {
  "says nothing": ["", ""],
  "begins a head and stops": ["GET /health/live HTTP/1.1\r\nHost: x\r\nX: ", ""],
  "sends its head byte by byte": ["GET /health/live HTTP/1.1\r\nHost: x\r\nX: ", "a"],
  "begins a body and stops": [`${POST}Content-Length: 1000\r\n\r\n{`, ""],
  "sends its body byte by byte": [`${POST}Content-Length: 1000\r\n\r\n{`, " "],
  "sends a large body byte by byte": [`${POST}Content-Length: 1000000\r\n\r\n{`, " "],
  "sends its chunks byte by byte": [`${POST}Transfer-Encoding: chunked\r\n\r\n`, "1\r\n \r\n"],
  "sends a body that is not wanted": [
    "POST /v1/wallet/transfer HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n",
    " ",
  ],
  "asks once and stays": [LIVE, ""],
};

async function opened(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  return socket.on("error", () => {}); // of one that is cut; its end is what is waited for
}

/** Resolves when the other side has cut it. */
async function cut(url: string, first: string, drip: string): Promise<void> {
  const socket = await opened(url);
  const timer = setInterval(() => drip && socket.write(drip), DRIP_MS);
  await new Promise<void>((resolve) => {
    socket
      .once("end", resolve)
      .once("close", resolve)
      .on("data", () => {})
      .write(first);
  });
  clearInterval(timer);
  socket.destroy();
}

/** A peer that asks often and reads nothing. */
async function unread(url: string, times: number): Promise<Socket> {
  const socket = await opened(url);
  socket.pause().write(LIVE.repeat(times));
  return socket;
}

function openFiles({ process: { pid } }: CofferNode): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Connections of the node's port in the kernel that still have something to send, whoever has closed them. */
function unsent(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1);
  return lines.filter((line) => {
    const [, local, , state, queues] = line.trim().split(/\s+/);
    return local?.endsWith(`:${port}`) && state !== "0A" && Number.parseInt(queues ?? "", 16) > 0;
  }).length;
}

test.concurrent.each(RUNTIMES)(
  "under %s whoever is slow, silent or does not read is cut, and others are served",
  async (runtime) => {
    const node = await CofferNode.start(join(temporaryFolder(), "data"), { runtime });
    const { client, url } = node;
    await client.open("alice", 1_000);
    const before = openFiles(node);
    const deaf = await Promise.all([UNREAD, UNREAD * 20].map((times) => unread(url, times)));
    let done = false;
    const cuts = Promise.all(Object.values(PEERS).map(([first, drip]) => cut(url, first, drip)));
    const all = cuts.finally(() => {
      done = true;
    });
    for (let paid = 1; !done; paid++) {
      const { body } = await client.transfer({ from_account: "alice", to_account: "bob", amount: 1 });
      expect(body.to_balance).toBe(paid);
      await Bun.sleep(DRIP_MS);
    }
    await all;
    // This test has a connection of its own, which is kept.
    await eventually("their files are closed", async () => openFiles(node) <= before + 1);
    // Under Deno the kernel keeps what nobody reads for as long as it likes.
    if (runtime !== "Deno")
      await eventually("the kernel keeps nothing for them", async () => unsent(url) === 0);
    for (const socket of deaf) socket.destroy();
    expect(await node.stop()).toBe(0);
  },
);

const MOST = 50;
/** What the node may have open itself, what may wait to be accepted, and what may come between two looks. */
const MORE = 64 + 512 + 500;
/** Their files are many more than FEW. */
const THREADS = 32;
const FEW = 10;
const KNOCKING = 3_000;

/** The answer to one request on a connection; undefined where none comes soon, or the connection is cut. */
function ask(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), DRIP_MS);
    const end = (answer?: Buffer) => {
      clearTimeout(timer);
      resolve(answer?.toString());
    };
    socket.once("data", end).once("close", () => end());
    socket.write(LIVE);
  });
}

test.each(RUNTIMES)(
  "under %s there are only so many connections; those that there are, are served",
  async (runtime) => {
    const node = await CofferNode.start(join(temporaryFolder(), "data"), {
      runtime,
      flags: ["--max-connections", String(MOST)],
    });
    const { hostname, port } = new URL(node.url);
    const first = await opened(node.url);
    expect(await ask(first)).toStartWith("HTTP/1.1 200");
    const sockets: Socket[] = [];
    let served = 0;
    let most = 0;
    for (let refused = 0; sockets.length < KNOCKING && refused === 0; ) {
      const socket = connect({ host: hostname, port: Number(port) }).on("error", () => {});
      sockets.push(socket);
      if ((await ask(socket)) === undefined) refused++;
      else served++;
      most = Math.max(most, openFiles(node));
    }
    expect(served).toBeGreaterThanOrEqual(MOST - 1);
    expect(most).toBeLessThan(MOST + MORE);
    const answer = await ask(first);
    expect(answer).toStartWith("HTTP/1.1 200");
    if (runtime !== "Deno") expect(answer?.toLowerCase()).toContain("connection: close");
    for (const socket of [first, ...sockets]) socket.destroy();
    await eventually("there is room again", async () => {
      try {
        return (await node.client.get("/health/ready")).status === 200;
      } catch {
        return false; // it was cut: not all of them are gone yet
      }
    });
    expect((await node.client.open("alice", 1)).status).toBe(201);
    expect(await node.stop()).toBe(0);
  },
);

test("what the node itself has open is no connection; when there are too many, and when not, is told", async () => {
  const node = await CofferNode.start(join(temporaryFolder(), "data"), {
    flags: ["--max-connections", String(FEW), "--gateway-threads", String(THREADS)],
  });
  const { url, process: running } = node;
  expect(openFiles(node)).toBeGreaterThan(FEW + 64);
  const says = (text: string) => running.stderr.some((line) => line.includes(text));
  const metric = async (name: string) => {
    const { text } = await node.client.get("/metrics");
    return Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)?.[1]);
  };
  for (let times = 0; times < FEW * 2; times++) {
    const socket = await opened(url);
    expect(await ask(socket)).toStartWith("HTTP/1.1 200");
    socket.destroy();
  }
  await eventually("only connections count", async () => {
    const open = await metric("coffer_http_connections");
    return open > 0 && open < FEW;
  });
  expect(await metric("coffer_http_connections_full")).toBe(0);
  expect(says("connections_full")).toBe(false);
  const sockets = await Promise.all(Array.from({ length: FEW * 2 }, () => opened(url)));
  await eventually("it says that it is full", async () => says("connections_full"));
  const late = connect({ host: new URL(url).hostname, port: Number(new URL(url).port) }).on(
    "error",
    () => {},
  );
  expect(await ask(late)).toBeUndefined();
  for (const socket of [late, ...sockets]) socket.destroy();
  await eventually("there is room again", async () => says("connections_available"));
  expect(await metric("coffer_http_connections_full")).toBe(0);
  expect(await node.stop()).toBe(0);
});

/** More than are told apart in one look, also where that is urgent; below four fifths of the most. */
const THOUSANDS = 2_300;
const MOST_THOUSANDS = 3_000;

test("thousands are counted to one, and who comes beyond the most is kept out", async () => {
  const node = await CofferNode.start(join(temporaryFolder(), "data"), {
    flags: ["--max-connections", String(MOST_THOUSANDS), "--gateway-threads", "1"],
  });
  const connections = async () => {
    const { text } = await node.client.get("/metrics");
    return Number(/^coffer_http_connections ([0-9]+)$/m.exec(text)?.[1]);
  };
  const sockets: Socket[] = [];
  const open = async (count: number) => {
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => opened(node.url)))));
  };
  while (sockets.length < THOUSANDS) await open(100);
  for (const socket of sockets) expect(await ask(socket)).toStartWith("HTTP/1.1 200");
  // And the one that asks for the metrics.
  await eventually("all are counted", async () => (await connections()) === THOUSANDS + 1);
  await open(MOST_THOUSANDS - THOUSANDS);
  await node.process.line(/"connections_full"/);
  for (const socket of sockets) socket.destroy();
  await node.process.line(/"connections_available"/);
  expect(await node.stop()).toBe(0);
});

const MAX_BODY_BYTES = 4 << 20;
/** So many of the largest bodies fit into what bodies under way may take. */
const UNDER_WAY = 16;
const BODIES = 40;

test.each(RUNTIMES)(
  "under %s only so many large bodies are under way, and small ones go past them",
  async (runtime) => {
    const node = await CofferNode.start(join(temporaryFolder(), "data"), {
      runtime,
      flags: ["--max-body-bytes", String(MAX_BODY_BYTES), "--gateway-threads", "1"],
    });
    await node.client.open("alice", 1);
    const refused: string[] = [];
    const sockets = await Promise.all(Array.from({ length: BODIES }, () => opened(node.url)));
    for (const socket of sockets) {
      socket.on("data", (answer) => refused.push(answer.toString()));
      socket.write(`${POST}Content-Length: ${MAX_BODY_BYTES}\r\n\r\n${" ".repeat(1 << 16)}`);
    }
    await eventually("the others are refused", async () => refused.length >= BODIES - UNDER_WAY);
    const { body } = await node.client.transfer({ from_account: "alice", to_account: "bob", amount: 1 });
    expect(body.status).toBe("committed");
    expect(refused).toHaveLength(BODIES - UNDER_WAY);
    for (const answer of refused) {
      expect(answer).toStartWith("HTTP/1.1 503");
      expect(answer.toLowerCase()).toContain("retry-after: 1");
    }
    for (const socket of sockets) socket.destroy();
    const large = Array.from({ length: 1_000 }, () => ({
      from_account: "alice",
      to_account: "bob",
      amount: 1,
    }));
    await eventually(
      "there is room for another",
      async () => (await node.client.transfers(large)).status === 200,
    );
    expect(await node.stop()).toBe(0);
  },
);
