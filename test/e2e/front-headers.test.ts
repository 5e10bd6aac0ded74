/** Headers that change what becomes of a request: retries by header, proxies, content codings, HTTP/1.0. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, CofferNode, RUNTIME_NAMES, type RuntimeName } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { OpenApi } from "../../tools/harness/openapi.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";
import { newId } from "../support/ledger-specs.ts";
import { type RawAnswer, type RawRequest, rawRequest } from "../support/raw-http.ts";

type Header = readonly [name: string, value: string];

const JSON_TYPE: Header = ["Content-Type", "application/json"];
const PLAIN = '{"from_account":"alice","to_account":"bob","amount":1}';
const MOVE = '{"account_id":"alice","amount":1}';

/** Every request that changes something, on the scanner's way and on the parser's. */
const CHANGES: readonly (readonly [what: string, target: string, body: () => string])[] = [
  ["a plain transfer", "/v1/wallet/transfer", () => PLAIN],
  ["a transfer that is parsed", "/v1/wallet/transfer", () => PLAIN.replace("1}", '"1"}')],
  ["a batch", "/v1/wallet/transfers", () => `{"transfers":[${PLAIN}]}`],
  ["an opening", "/v1/wallet/accounts", () => `{"account_id":"${newId()}"}`],
  ["a deposit", "/v1/wallet/deposit", () => MOVE],
  ["a withdrawal", "/v1/wallet/withdraw", () => MOVE],
];

const READS = ["/v1/wallet/balance/alice", "/v1/ledger", "/v1/seal", "/metrics"];
const EVERYONES = ["/health/live", "/health/ready", "/openapi.json"];

const IDEMPOTENCY: readonly Header[] = [
  ["Idempotency-Key", newId()],
  ["idempotency-key", '"quoted"'],
  ["IDEMPOTENCY-KEY", "x".repeat(1_000)],
  ["X-Idempotency-Key", newId()],
  ["X-Idempotency", "1"],
];

const PROXIES: readonly Header[] = [
  ["Forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43"],
  ["X-Forwarded-For", "192.0.2.60"],
  ["x-forwarded-host", "wallet.example.com"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Port", "443"],
  ["X-Forwarded-Server", "edge"],
  ["X-Forwarded-Of-Some-New-Proxy", "1"],
  ["X-Real-IP", "192.0.2.60"],
  ["Via", "1.1 edge"],
];

const ENCODINGS = [
  "gzip",
  "GZIP",
  "br",
  "deflate",
  "zstd",
  "compress",
  "identity, gzip",
  "gzip, identity",
  "none",
];
const IDENTITIES = ["identity", "Identity"];

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  let node: CofferNode;
  /** One that asks for keys. */
  let keyed: CofferNode;
  let key: Header;

  beforeAll(async () => {
    const data = temporaryFolder();
    const secret = await addKey(data, "all", "admin");
    key = ["Authorization", `Bearer ${secret}`];
    node = await start(runtime, temporaryFolder());
    keyed = await start(runtime, data);
    keyed.client = new WalletClient(keyed.url, { key: secret });
    for (const { client } of [node, keyed]) expect((await client.open("alice", 1_000_000)).status).toBe(201);
  });

  afterAll(async () => {
    await node?.crash();
    await keyed?.crash();
  });

  const post = (target: string, body: string, ...headers: Header[]): RawRequest => ({
    target,
    headers: [JSON_TYPE, ...headers],
    body,
  });
  const get = (target: string, ...headers: Header[]): RawRequest => ({ method: "GET", target, headers });

  /** How many lines there are; a mark of its own, so that a command that went in before has its lines. */
  async function linesOf({ client, data }: CofferNode): Promise<number> {
    expect((await client.deposit("marker", 1)).status).toBe(200);
    return readFileSync(join(data, "events.log"), "latin1").split("\n").length;
  }

  async function ask(
    { url }: CofferNode,
    request: RawRequest,
  ): Promise<RawAnswer & { readonly body: Problem }> {
    const answer = await rawRequest(url, request);
    if (!answer) throw new Error("there was no answer");
    const { method = "POST", target } = request;
    const document = await OpenApi.published();
    expect(document.wrongIn(method, target, answer)).toBe("");
    const body = answer.headers.get("content-type")?.endsWith("json") ? JSON.parse(answer.text) : {};
    return { ...answer, body };
  }

  /** Of both nodes: nothing came to the log while `go` ran, but for one mark. */
  async function changingNothing(go: () => Promise<void>): Promise<void> {
    const before = [await linesOf(node), await linesOf(keyed)];
    await go();
    const after = [await linesOf(node), await linesOf(keyed)];
    expect(after).toEqual(before.map((lines) => lines + 2));
  }

  for (const [what, target, body] of CHANGES) {
    test(`${what} with an idempotency header is refused and changes nothing`, async () => {
      await changingNothing(async () => {
        for (const header of IDEMPOTENCY)
          for (const [at, more] of [
            [node, []],
            [keyed, [key]],
          ] as const) {
            const answer = await ask(at, post(target, body(), header, ...more));
            expect([header, answer.status, answer.body.code]).toEqual([header, 400, "invalid_request"]);
            expect(answer.body.path).toBe("/transaction_id");
            expect(answer.body.detail).toMatch(/transaction_id/);
            expect(answer.body.detail.toLowerCase()).toContain(`header ${header[0].toLowerCase()} `);
          }
      });
    });

    test(`${what} with a content coding is refused and changes nothing, but for identity`, async () => {
      await changingNothing(async () => {
        for (const coding of ENCODINGS)
          for (const [at, more] of [
            [node, []],
            [keyed, [key]],
          ] as const) {
            const answer = await ask(at, post(target, body(), ["Content-Encoding", coding], ...more));
            expect([coding, answer.status, answer.body.code]).toEqual([
              coding,
              415,
              "unsupported_media_type",
            ]);
            expect(answer.headers.get("accept-encoding")).toBe("identity");
            expect(answer.body.detail).toContain("Content-Encoding");
          }
      });
      for (const coding of IDENTITIES) {
        const answer = await ask(node, post(target, body(), ["Content-Encoding", coding]));
        expect([coding, answer.status]).toEqual([coding, target.endsWith("accounts") ? 201 : 200]);
      }
    });

    test(`${what} that a proxy passed on is refused without keys, and good with one`, async () => {
      await changingNothing(async () => {
        for (const header of PROXIES) await expectForbidden(node, post(target, body(), header));
      });
      for (const header of PROXIES) {
        const { status } = await ask(keyed, post(target, body(), header, key));
        expect([header, status]).toEqual([header, target.endsWith("accounts") ? 201 : 200]);
      }
    });
  }

  test("what a proxy passes on may not be read without keys either, but for what everyone may see", async () => {
    for (const header of PROXIES) {
      for (const target of READS) await expectForbidden(node, get(target, header));
      for (const target of EVERYONES) expect((await ask(node, get(target, header))).status).toBe(200);
    }
    expect((await ask(keyed, get("/v1/ledger", PROXIES[0] as Header, key))).status).toBe(200);
  });

  async function expectForbidden(at: CofferNode, request: RawRequest): Promise<void> {
    const { status, body } = await ask(at, request);
    expect([request, status, body.code]).toEqual([request, 403, "forbidden"]);
    expect(body.detail).toMatch(/API keys/);
  }

  const host: Header = ["Host", "127.0.0.1:8080"];
  /** As a default nginx begins: the only HTTP/1.0 with a Host that is known under Bun. */
  const nginx = (body: string): Header[] => [
    host,
    ["Connection", "close"],
    ["Content-Length", String(body.length)],
  ];

  test("nothing is changed by the HTTP/1.0 of a default nginx without keys; it may read, and with a key all", async () => {
    const http10 = (target: string, body: string, ...more: Header[]): RawRequest => ({
      target,
      body,
      version: "1.0",
      headers: [...nginx(body), JSON_TYPE, ...more],
    });
    await changingNothing(async () => {
      for (const [, target, body] of CHANGES) {
        await expectForbidden(node, http10(target, body()));
        await expectForbidden(node, { ...post(target, body(), ["Host", ""]), version: "1.0" });
        if (runtime === "Deno")
          await expectForbidden(node, { ...post(target, body(), host), version: "1.0" });
      }
    });
    expect((await ask(node, { ...get("/v1/ledger"), version: "1.0" })).status).toBe(200);
    for (const [what, target, body] of CHANGES)
      expect([what, (await ask(keyed, http10(target, body(), key))).status < 300]).toEqual([what, true]);
  });

  test("a client that closes its connection behind a request is one like others", async () => {
    for (const headers of [
      [JSON_TYPE, ["Connection", "close"]],
      [host, JSON_TYPE, ["Connection", "close"]],
      // As node:http writes them without an agent.
      [JSON_TYPE, host, ["Connection", "close"], ["Content-Length", String(MOVE.length)]],
      [host, ["User-Agent", "curl/8"], ["Connection", "close"], JSON_TYPE],
    ] as const)
      expect((await ask(node, { target: "/v1/wallet/deposit", headers, body: MOVE })).status).toBe(200);
  });
});

interface Problem {
  readonly code: string;
  readonly path: string;
  readonly detail: string;
}

function start(runtime: RuntimeName, data: string): Promise<CofferNode> {
  return CofferNode.start(data, { runtime, flags: ["--seal-commands", "1"] });
}
