/** Who may ask what: every route with every kind of key, revocation, and what nobody is told. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRoutes } from "../../src/gateway/routes.ts";
import { addKey, CofferNode, coffer, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";
import { newId } from "../support/ledger-specs.ts";
import {
  type RawAnswer,
  RawConnection,
  type RawRequest,
  rawRequest,
  requestBytes,
} from "../support/raw-http.ts";
import { SmallDisk } from "../support/small-disk.ts";

const JSON_TYPE = ["Content-Type", "application/json"] as const;

interface Asked {
  /** What a key must be good for; undefined where none is needed. */
  readonly scope: "read" | "write" | "metrics" | undefined;
  /** Whether a key that is bound to `shop-` is let in. */
  readonly bound: boolean;
  readonly request: () => RawRequest;
}

const post = (target: string, body: object): RawRequest => ({
  target,
  headers: [JSON_TYPE],
  body: JSON.stringify(body),
});
const get = (target: string): RawRequest => ({ method: "GET", target });
const transfer = () => ({ transaction_id: newId(), from_account: "shop-1", to_account: "bob", amount: 1 });

/** What every route needs, written down a second time. */
const ASKED: Readonly<Record<string, Asked>> = {
  "POST /v1/wallet/transfer": {
    scope: "write",
    bound: true,
    request: () => post("/v1/wallet/transfer", transfer()),
  },
  "POST /v1/wallet/transfers": {
    scope: "write",
    bound: true,
    request: () => post("/v1/wallet/transfers", { transfers: [transfer(), transfer()] }),
  },
  "POST /v1/wallet/accounts": {
    scope: "write",
    bound: true,
    request: () => post("/v1/wallet/accounts", { account_id: `shop-${newId()}` }),
  },
  "POST /v1/wallet/deposit": {
    scope: "write",
    bound: false,
    request: () => post("/v1/wallet/deposit", { account_id: "shop-1", amount: 1 }),
  },
  "POST /v1/wallet/withdraw": {
    scope: "write",
    bound: true,
    request: () => post("/v1/wallet/withdraw", { account_id: "shop-1", amount: 1 }),
  },
  "GET /v1/wallet/balance/:account_id": {
    scope: "read",
    bound: true,
    request: () => get("/v1/wallet/balance/shop-1"),
  },
  "GET /v1/ledger": { scope: "read", bound: false, request: () => get("/v1/ledger") },
  "GET /v1/seal": { scope: "read", bound: false, request: () => get("/v1/seal") },
  "GET /metrics": { scope: "metrics", bound: false, request: () => get("/metrics") },
  "GET /openapi.json": { scope: undefined, bound: true, request: () => get("/openapi.json") },
  "GET /health/live": { scope: undefined, bound: true, request: () => get("/health/live") },
  "GET /health/ready": { scope: undefined, bound: true, request: () => get("/health/ready") },
};

const LEVELS = ["read", "write", "admin"];
/** Of each need, the scopes that are good for it, written down a second time. */
const GOOD_FOR = {
  read: ["read", "write", "admin"],
  write: ["write", "admin"],
  metrics: ["metrics", "admin"],
} as const satisfies Record<string, readonly string[]>;

let node: CofferNode;
/** Keys by their names; `revoked` was one. */
const keys: Record<string, string> = {};

beforeAll(async () => {
  const data = temporaryFolder();
  for (const scope of LEVELS) {
    keys[scope] = await addKey(data, scope, scope);
    keys[`bound ${scope}`] = await addKey(data, `bound-${scope}`, scope, "shop-");
  }
  keys.metrics = await addKey(data, "metrics", "metrics");
  keys.revoked = await addKey(data, "revoked", "admin");
  node = await CofferNode.start(data, {
    flags: ["--log-level", "debug", "--gateway-threads", "2", "--seal-commands", "1"],
  });
  node.client = new WalletClient(node.url, { key: keys.admin! });
  expect((await node.client.get("/metrics")).status).toBe(200);
  expect((await new WalletClient(node.url, { key: keys.revoked }).get("/metrics")).status).toBe(200);
  expect((await coffer(["keys", "revoke", "revoked", "--data", data])).code).toBe(0);
  await refused(node, keys.revoked);
  expect((await node.client.open("shop-1", 10_000)).status).toBe(201);
  expect((await node.client.open("bob", 10_000)).status).toBe(201);
  await eventually("something is sealed", async () => (await node.client.get("/v1/seal")).status === 200);
});

afterAll(() => node?.crash());

/** Waits until no gateway thread lets `key` in: connections come to any of them. */
async function refused(node: CofferNode, key: string): Promise<void> {
  let in_a_row = 0;
  await eventually("the key is refused", async () => {
    const answer = await rawRequest(node.url, withKey(get("/v1/wallet/balance/bob"), key));
    in_a_row = answer?.status === 401 ? in_a_row + 1 : 0;
    return in_a_row === 10;
  });
}

function withHeader(request: RawRequest, value: string | undefined): RawRequest {
  if (value === undefined) return request;
  return { ...request, headers: [...(request.headers ?? []), ["Authorization", value]] };
}

const withKey = (request: RawRequest, key: string) => withHeader(request, `Bearer ${key}`);

async function ask(request: RawRequest): Promise<RawAnswer> {
  const answer = await rawRequest(node.url, request);
  if (!answer) throw new Error("there was no answer");
  return answer;
}

/** Status, code and challenge of a refusal; nothing of a key may be in it. */
function refusal({ status, text, headers }: RawAnswer) {
  for (const key of Object.values(keys)) expect(text).not.toContain(key.slice(-43));
  const body = JSON.parse(text);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect([body.status, body.type]).toEqual([status, `urn:coffer:problem:${body.code}`]);
  return [status, body.code, headers.get("www-authenticate")];
}

const NO_KEY = [401, "unauthorized", "Bearer"];
const WRONG_KEY = [401, "unauthorized", 'Bearer error="invalid_token"'];

test("the table below has every route", () => {
  const routes = createRoutes({} as never, {} as never);
  expect(routes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(Object.keys(ASKED).sort());
});

describe.each(Object.entries(ASKED))("%s", (_, { scope, bound, request }) => {
  for (const given of ["read", "write", "admin", "metrics", "bound read", "bound write", "bound admin"]) {
    const level = given.replace("bound ", "");
    test(`with a key of scope ${level}${level === given ? "" : " that is bound"}`, async () => {
      const answer = await ask(withKey(request(), keys[given]!));
      if (scope !== undefined && !GOOD_FOR[scope].some((good) => good === level)) {
        const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
        expect(refusal(answer)).toEqual([403, "forbidden", challenge]);
      } else if (level !== given && !bound) expect(refusal(answer)).toEqual([403, "forbidden", null]);
      else expect([200, 201]).toContain(answer.status);
    });
  }

  test("without a key, with a wrong one, and with one that was revoked", async () => {
    const headers: readonly (readonly [string | undefined, unknown[]])[] = [
      [undefined, NO_KEY],
      ["Basic YTpi", NO_KEY],
      ["Bearer", NO_KEY],
      [keys.admin, NO_KEY],
      [`Bearer ${keys.admin}x`, WRONG_KEY],
      [`Bearer ${keys.admin!.slice(0, -43)}${keys.write!.slice(-43)}`, WRONG_KEY],
      [`Bearer coffer_000000000000_${keys.admin!.slice(-43)}`, WRONG_KEY],
      ["Bearer \xff\xfe", WRONG_KEY],
      [`Bearer ${"x".repeat(4_000)}`, WRONG_KEY],
      [`Bearer ${keys.revoked}`, WRONG_KEY],
    ];
    for (const [header, expected] of headers) {
      const answer = await ask(withHeader(request(), header));
      if (scope === undefined) expect([header, answer.status]).toEqual([header, 200]);
      else expect([header, refusal(answer)]).toEqual([header, expected]);
    }
  });
});

test("two Authorization headers, a key in the query and one in the body let nobody in", async () => {
  const key = keys.admin!;
  expect((await ask(withKey(withKey(get("/metrics"), key), keys.read!))).status).toBe(401);
  expect((await ask(get(`/metrics?access_token=${key}`))).status).toBe(401);
  const body = { target: "/v1/wallet/deposit", body: `access_token=${key}` };
  const headers = [["Content-Type", "application/x-www-form-urlencoded"]] as const;
  expect((await ask({ ...body, headers })).status).toBe(401);
});

test("a path that there is not is 404, a wrong method 405, whatever the key: which there are is no secret", async () => {
  for (const header of [undefined, "Bearer wrong", `Bearer ${keys.admin}`]) {
    expect((await ask(withHeader(get("/v1/nothing"), header))).status).toBe(404);
    expect((await ask(withHeader(get("/v1/wallet/transfer"), header))).status).toBe(405);
  }
});

test("HEAD needs what GET needs", async () => {
  const head = { method: "HEAD", target: "/v1/ledger" };
  expect((await ask(head)).status).toBe(401);
  expect((await ask(withKey(head, keys.read!))).status).toBe(200);
});

test("who is refused is so before the body is read, and the connection goes on", async () => {
  const large = "x".repeat(5 << 20);
  const chunked = `100000\r\n${large.slice(0, 1 << 20)}\r\n0\r\n\r\n`;
  const bodies: readonly RawRequest[] = [
    { target: "/v1/wallet/transfer", headers: [JSON_TYPE], body: "{" },
    { target: "/v1/wallet/transfer", body: "no type at all" },
    { target: "/v1/wallet/transfers", headers: [JSON_TYPE], body: large },
    {
      target: "/v1/wallet/transfers",
      headers: [JSON_TYPE, ["Transfer-Encoding", "chunked"], ["Content-Length", ""]],
      body: chunked,
    },
  ];
  const connection = await RawConnection.open(node.url);
  for (const request of bodies) {
    await connection.send(requestBytes(request));
    expect((await connection.answer())?.status).toBe(401);
    await connection.send(requestBytes(withKey(get("/v1/ledger"), keys.read!)));
    expect((await connection.answer())?.status).toBe(200);
  }
  connection.cut();
});

test("an answer comes to a caller without a key whose body never does", async () => {
  const connection = await RawConnection.open(node.url);
  const [head] = Buffer.from(requestBytes(post("/v1/wallet/transfer", transfer())))
    .toString("latin1")
    .split("{", 1);
  await connection.send(head!);
  expect((await connection.answer())?.status).toBe(401);
  connection.cut();
});

test("the keys stand in no log, not even at the level debug", async () => {
  const printed = [...node.process.stderr, ...node.process.stdout].join("\n");
  expect(printed).toContain("keys_changed");
  expect(printed).not.toContain("coffer_0");
  for (const key of Object.values(keys)) expect(printed).not.toContain(key.slice(0, 19));
  for (const key of Object.values(keys)) expect(printed).not.toContain(key.slice(-43));
});

test("a start without keys is warned of, and where there were some it is refused", async () => {
  const data = temporaryFolder();
  const warning = /"no_keys"/;
  for (let start = 0; start < 2; start++) {
    const open = await CofferNode.start(data);
    await open.process.line(warning);
    expect(await open.stop()).toBe(0);
  }
  const key = await addKey(data, "all", "read");
  renameSync(join(data, "keys.json"), join(data, "away"));
  const { code, stdout, stderr } = await coffer(["serve", "--data", data, "--port", "0"]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("which has had keys, or whose first key was not completely created");
  renameSync(join(data, "away"), join(data, "keys.json"));
  const closed = await CofferNode.start(data);
  expect((await closed.client.get("/v1/ledger")).status).toBe(401);
  expect((await new WalletClient(closed.url, { key }).get("/v1/ledger")).status).toBe(200);
  expect(closed.process.stderr.join("\n")).not.toMatch(warning);
  expect(await closed.stop()).toBe(0);
});

test("a first key whose making was interrupted opens nothing; its refusal tells to make it again, and that mends it", async () => {
  const disk = await SmallDisk.mount("96m");
  const data = join(disk.folder, "data");
  mkdirSync(data);
  expect(() => writeFileSync(join(disk.folder, "filler"), Buffer.alloc((96 << 20) + 1))).toThrow("ENOSPC");
  const add = ["keys", "add", "till", "--scope", "read", "--data", data];
  expect((await coffer(add)).stderr).toContain("ENOSPC");
  expect(readdirSync(data)).toEqual(["keys.lock"]);
  const serve = ["serve", "--data", data, "--port", "0"];
  const { code, stdout, stderr } = await coffer(serve);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("or whose first key was not completely created");
  const [, told] = /create a key with coffer (keys add NAME .*--data \S+);/.exec(stderr) ?? [];
  rmSync(join(disk.folder, "filler"));
  const args = told?.replace("NAME", "till").replace("read|write|admin|metrics", "read").split(" ");
  expect(args).toEqual(add);
  const key = (await coffer(add)).stdout;
  const node = await CofferNode.start(data, { flags: ["--min-free-bytes", "0"] });
  expect((await node.client.get("/v1/ledger")).status).toBe(401);
  expect((await new WalletClient(node.url, { key }).get("/v1/wallet/balance/bob")).status).toBe(404);
  expect(await node.stop()).toBe(0);
});

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("keys come, go and break under a running node, and kept connections follow", async () => {
    const data = temporaryFolder();
    const running = await CofferNode.start(data, { runtime, flags: ["--gateway-threads", "1"] });
    const file = join(data, "keys.json");
    expect((await running.client.deposit("alice", 1)).status).toBe(200);
    const connection = await RawConnection.open(running.url);
    const ledger = async (key?: string) => {
      await connection.send(requestBytes(withHeader(get("/v1/ledger"), key && `Bearer ${key}`)));
      return (await connection.answer())?.status;
    };
    const becomes = (status: number, key?: string) =>
      eventually(`the status is ${status}`, async () => (await ledger(key)) === status);

    const security = async () => {
      const { paths } = (await running.client.get("/openapi.json")).body;
      return ["/v1/ledger", "/health/live"].map((path) => paths[path].get.security);
    };

    expect(await ledger()).toBe(200);
    expect(await security()).toEqual([undefined, undefined]);
    const pointedHere = { ...get("/v1/ledger"), headers: [["Host", "shop.example.com"]] } as const;
    expect((await rawRequest(running.url, pointedHere))?.status).toBe(403);
    const first = await addKey(data, "first", "write");
    await becomes(401);
    expect(await ledger(first)).toBe(200);
    expect(await security()).toEqual([[{ key: [] }], undefined]);
    const second = await addKey(data, "second", "write");
    await becomes(200, second);
    // Their bodies are still on their way when the one key is revoked.
    const late = await Promise.all(
      [first, second].map(async (key) => {
        const begun = await RawConnection.open(running.url);
        const bytes = requestBytes(
          withKey(post("/v1/wallet/deposit", { account_id: "late", amount: 1 }), key),
        );
        await begun.send(bytes.subarray(0, -1));
        return { begun, end: bytes.subarray(-1) };
      }),
    );
    await coffer(["keys", "revoke", "first", "--data", data]);
    await becomes(401, first);
    const statuses = late.map(async ({ begun, end }) => {
      await begun.send(end);
      return (await begun.answer())?.status;
    });
    expect(await Promise.all(statuses)).toEqual([401, 200]);
    for (const { begun } of late) begun.cut();
    expect(await ledger(second)).toBe(200);

    renameSync(file, `${file}.away`);
    await becomes(401, second);
    expect((await running.client.get("/health/ready")).status).toBe(200);
    await running.process.line(/"keys_file_missing"/);
    renameSync(`${file}.away`, file);
    await becomes(200, second);

    writeFileSync(file, "{");
    await running.process.line(/"keys_file_broken".*keys\.json is broken/);
    expect([await ledger(second), await ledger(first), await ledger()]).toEqual([200, 401, 401]);
    connection.cut();
    expect(await running.stop()).toBe(0);
  });
});
