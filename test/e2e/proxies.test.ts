/** Real proxies in front of a node without keys, which refuses them, and of one with keys, which serves them. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { ROOT } from "../../tools/harness/processes.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";
import { ReverseProxy } from "../support/proxies.ts";
import { type RawRequest, rawRequest } from "../support/raw-http.ts";

type Header = readonly [name: string, value: string];

/** As a client elsewhere sends it, who knows the proxy by its name. */
const ELSEWHERE: Header = ["Host", "wallet.example.com"];

const CHANGES: readonly (readonly [target: string, body: string])[] = [
  ["/v1/wallet/transfer", '{"from_account":"alice","to_account":"bob","amount":1}'],
  ["/v1/wallet/transfers", '{"transfers":[{"from_account":"alice","to_account":"bob","amount":1}]}'],
  ["/v1/wallet/accounts", '{"account_id":"carol","initial_balance":100}'],
  ["/v1/wallet/deposit", '{"account_id":"alice","amount":1}'],
  ["/v1/wallet/withdraw", '{"account_id":"alice","amount":1}'],
];

/** The lines for nginx in a document, for a node at `url`. */
function documentedLines(file: string, url: string): string {
  const text = readFileSync(join(ROOT, file), "utf8");
  const [block = ""] = /proxy_pass [^`}]*/.exec(/```nginx\n[^`]*/.exec(text)?.[0] ?? "") ?? [];
  const lines = block.split("\n").filter((line) => line.includes(";"));
  expect(lines.length).toBeGreaterThan(3);
  return lines.join("\n").replace(/http:\/\/(127\.0\.0\.1:8080|coffer)/, url);
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  let node: CofferNode;
  let keyed: CofferNode;
  let key: Header;

  beforeAll(async () => {
    const data = temporaryFolder();
    const secret = await addKey(data, "all", "admin");
    key = ["Authorization", `Bearer ${secret}`];
    node = await CofferNode.start(temporaryFolder(), { runtime });
    keyed = await CofferNode.start(data, { runtime });
    keyed.client = new WalletClient(keyed.url, { key: secret });
    for (const { client } of [node, keyed]) expect((await client.open("alice", 1_000)).status).toBe(201);
  });

  afterAll(async () => {
    await node?.crash();
    await keyed?.crash();
  });

  const post = (target: string, body: string, ...headers: Header[]): RawRequest => ({
    target,
    body,
    headers: [["Content-Type", "application/json"], ...headers],
  });
  const get = (target: string, ...headers: Header[]): RawRequest => ({ method: "GET", target, headers });

  async function statusOf({ url }: ReverseProxy, request: RawRequest): Promise<number | undefined> {
    const answer = await rawRequest(url, request);
    return answer?.status;
  }

  /** No change comes through, and the log is as it was. */
  async function expectNoChange(proxy: ReverseProxy, ...headers: Header[]): Promise<void> {
    const log = () => readFileSync(join(node.data, "events.log"), "latin1");
    const before = log();
    for (const [target, body] of CHANGES) {
      expect([target, await statusOf(proxy, post(target, body, ...headers))]).toEqual([target, 403]);
      const closing = post(target, body, ["Connection", "close"], ...headers);
      expect([target, await statusOf(proxy, closing)]).toEqual([target, 403]);
    }
    expect(await node.client.balance("alice")).toBe(1_000);
    expect(log()).toBe(before);
  }

  async function expectNoRead(proxy: ReverseProxy, ...headers: Header[]): Promise<void> {
    for (const target of ["/v1/ledger", "/v1/wallet/balance/alice", "/metrics"])
      expect([target, await statusOf(proxy, get(target, ...headers))]).toEqual([target, 403]);
    expect(await statusOf(proxy, get("/health/live", ...headers))).toBe(200);
  }

  async function expectServed(proxy: ReverseProxy): Promise<void> {
    expect(await statusOf(proxy, get("/v1/ledger", ELSEWHERE))).toBe(401);
    expect(await statusOf(proxy, get("/v1/ledger", ELSEWHERE, key))).toBe(200);
    for (const [target, body] of CHANGES)
      expect(await statusOf(proxy, post(target, body, ELSEWHERE, key))).toBeOneOf([200, 201]);
  }

  test("a default nginx changes nothing without keys, and all with one", async () => {
    const proxy = await ReverseProxy.nginx(`proxy_pass ${node.url};`);
    await expectNoChange(proxy, ELSEWHERE);
    await expectNoChange(proxy, ["Host", "localhost"]);
    await expectNoChange(proxy, ELSEWHERE, ["Expect", "100-continue"], ["User-Agent", "curl/8"]);
    await proxy.stop();
    const good = await ReverseProxy.nginx(`proxy_pass ${keyed.url};`);
    await expectServed(good);
    await good.stop();
  });

  for (const file of ["README.md", "docs/operations.md"])
    test(`nginx with the lines of ${file} is served with keys, and refused without`, async () => {
      const good = await ReverseProxy.nginx(documentedLines(file, keyed.url));
      await expectServed(good);
      await good.stop();
      const proxy = await ReverseProxy.nginx(documentedLines(file, node.url));
      for (const host of [ELSEWHERE, ["Host", "localhost"]] as const) {
        await expectNoChange(proxy, host);
        await expectNoRead(proxy, host);
      }
      await proxy.stop();
    });

  for (const mode of ["http", "tcp"] as const)
    test(`a default HAProxy in mode ${mode} is refused without keys, and served with one`, async () => {
      const proxy = await ReverseProxy.haproxy(mode, node.url);
      await expectNoChange(proxy, ELSEWHERE);
      await expectNoRead(proxy, ELSEWHERE);
      await proxy.stop();
      const good = await ReverseProxy.haproxy(mode, keyed.url);
      await expectServed(good);
      await good.stop();
    });

  test("HAProxy with option forwardfor is refused without keys, whatever its Host", async () => {
    const proxy = await ReverseProxy.haproxy("http", node.url, "  option forwardfor");
    await expectNoChange(proxy, ["Host", "localhost"]);
    await expectNoRead(proxy, ["Host", "localhost"]);
    await proxy.stop();
  });
});
