/** Bad requests against a real node: each is refused as a problem, and nothing of it enters the queue or the log. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { OpenApi } from "../../tools/harness/openapi.ts";
import { RawConnection, rawRequest, requestBytes } from "../support/raw-http.ts";
import { type BadRequest, good, post, TRANSFER } from "./bad-bodies.ts";
import { BAD_REQUESTS } from "./bad-requests.ts";

/** Words that only the inside of the node knows. */
const INSIDE =
  /\bat \S+ \(|\.[cm]?[jt]s\b|node_modules|bunfs|\/src\/|elysia|nats|typebox|stack|TypeError|SyntaxError|Unexpected/i;

let server: NatsServer;
let connection: NatsConnection;
let streams: JetStreamManager;
let node: CofferNode;

beforeAll(async () => {
  const folder = temporaryFolder();
  server = await NatsServer.start(join(folder, "nats"));
  node = await CofferNode.start(join(folder, "data"), { flags: ["--nats-url", server.url] });
  connection = await server.connect();
  streams = await jetstreamManager(connection);
  expect((await node.client.open("alice", 1_000)).status).toBe(201);
});

afterAll(async () => {
  await connection?.close();
  await node?.crash();
  await server?.crash();
});

/** How many messages the stream ever took, and the log's bytes. */
async function trace(): Promise<{ sequence: number; log: string }> {
  const { state } = await streams.streams.info("COFFER_COMMANDS");
  return { sequence: state.last_seq, log: readFileSync(join(node.data, "events.log"), "latin1") };
}

for (const bad of BAD_REQUESTS) {
  const { what, request, status, code, allow } = bad;
  test(`refused with ${status} ${code}: ${what}`, async () => {
    const before = await trace();
    const answer = await rawRequest(node.url, request);
    expect(answer?.status).toBe(status);
    expect(answer?.headers.get("content-type")).toBe("application/problem+json");
    expect(answer?.headers.get("allow") ?? undefined).toBe(allow);
    const { method = "POST", target } = request;
    const document = await OpenApi.published();
    expect(answer && document.wrongIn(method, target, answer)).toBe("");
    if (request.method !== "HEAD") expectProblem(answer?.text ?? "", bad);
    expect(await trace()).toEqual(before);
  });
}

function expectProblem(text: string, { status, code, path }: BadRequest): void {
  const { title, detail, ...rest } = JSON.parse(text);
  expect(rest).toEqual({
    type: `urn:coffer:problem:${code}`,
    status,
    code,
    ...(path === undefined ? {} : { path }),
  });
  for (const words of [title, detail]) expect(words).toMatch(/^\S.{4,300}$/);
  expect(`${title} ${detail}`).not.toMatch(INSIDE);
}

test("a request whose body is cut off changes nothing", async () => {
  const before = await trace();
  const bytes = requestBytes(post(TRANSFER, good));
  const end = Buffer.from(bytes).indexOf("\r\n\r\n") + 4;
  for (const length of [end, end + 1, bytes.length - 1]) {
    const connection = await RawConnection.open(node.url);
    await connection.send(bytes.subarray(0, length));
    connection.cut();
  }
  expect((await node.client.get("/health/live")).status).toBe(200);
  expect(await trace()).toEqual(before);
});

test("what was refused has left no trace behind the next good command", async () => {
  const before = await trace();
  expect((await node.client.deposit("alice", 1)).status).toBe(200);
  const after = await trace();
  expect(after.sequence).toBe(before.sequence + 1);
  expect(after.log.slice(before.log.length).split("\n")).toHaveLength(3);
  expect(after.log.startsWith(before.log)).toBe(true);
});

test("nothing that callers sent counts as a failure of the node", () => {
  const { stderr } = node.process;
  expect(stderr.length).toBeGreaterThan(0);
  const told = stderr.filter((line) => !line.startsWith("{") || JSON.parse(line).level >= 40);
  expect(told.filter((line) => !line.includes("no_keys"))).toEqual([]);
});
