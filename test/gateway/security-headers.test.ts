/** Every answer of every route, good or bad, has the headers that keep browsers and caches from doing harm. */

import { describe, expect, test } from "bun:test";
import { createHttp } from "../../src/gateway/http.ts";
import { ok, type ProblemCode, problem, rejected } from "../../src/gateway/problems.ts";
import { createRoutes } from "../../src/gateway/routes.ts";
import type { WalletService } from "../../src/gateway/wallet-service.ts";
import type { Answer } from "../../src/ports/answer.ts";
import type { Caller, Callers } from "../../src/ports/keys.ts";
import type { Seal } from "../../src/ports/seals.ts";

const EXPECTED = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
};
const HSTS = "strict-transport-security";

const CODES: readonly ProblemCode[] = [
  "invalid_request",
  "forbidden",
  "account_not_found",
  "transaction_id_conflict",
  "account_exists",
  "batch_too_large",
  "queue_unavailable",
  "overloaded",
  "outcome_unknown",
];

/** What a wallet may answer, and how it may fail. */
const ANSWERS: Readonly<Record<string, () => Answer>> = {
  "200": () => ok("{}"),
  "201": () => ({ ...ok("{}"), status: 201 }),
  "a repeat": () => ({ ...ok("{}"), replayed: true }),
  "a repeat that was rejected": () => rejected("insufficient_funds", "", true, {}),
  ...Object.fromEntries(CODES.map((code) => [code, () => problem(code, "")])),
  "a bug": () => {
    throw new Error("a bug");
  },
};

const ANYONE: Caller = { scope: "admin", within: undefined, ended: false };

/** HTTP over a wallet that answers everything with `answer`. */
function httpOf(
  answer: () => Answer,
  secure: boolean,
  who: Caller | "no key" | "wrong key" = ANYONE,
  callers: Callers = { everyone: undefined, callerOf: () => who },
) {
  const wallet = new Proxy({}, { get: () => () => answer() }) as WalletService;
  return createHttp(wallet, {
    callers,
    secure,
    measure: () => () => {},
    newestSeal: () => SEAL,
    maxBodiesBytes: 1 << 20,
    maxBodyBytes: 100,
    unready: () => (answer().status === 503 ? "not yet" : undefined),
    isHttp10: () => false,
    failed: () => {},
    read: (give) => give(),
    metrics: async () => answer().body,
  });
}

const SEAL: Seal = {
  seal: 1,
  ledger_id: "c4670c54-8ae7-4500-9f90-15d5f6fc1f29",
  seq: 10,
  command: "10.0",
  at: 1_795_289_913_889,
  bytes: 1_782,
  commands: 5,
  log: "0".repeat(64),
  hash: "1".repeat(64),
};
const ROUTES = createRoutes({} as never, {} as never);

async function statusOf(
  http: ReturnType<typeof httpOf>,
  secure: boolean,
  path: string,
  init: RequestInit = {},
): Promise<number> {
  const url = `${secure ? "https" : "http"}://localhost${path}`;
  const { status, headers } = await http.fetch(new Request(url, init));
  const found = Object.fromEntries(Object.keys(EXPECTED).map((name) => [name, headers.get(name)]));
  expect(found).toEqual(EXPECTED);
  expect(headers.get(HSTS)).toBe(secure ? "max-age=31536000" : null);
  return status;
}

const JSON_BODY = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };

describe.each([
  ["HTTP", false],
  ["HTTPS", true],
] as const)("over %s", (_, secure) => {
  for (const { method, path, description } of ROUTES) {
    const init = method === "POST" ? JSON_BODY : {};
    const good = path.replace(":account_id", "a");

    test(`${method} ${path}, whatever the wallet says`, async () => {
      const statuses = new Set<number>();
      for (const answer of Object.values(ANSWERS))
        statuses.add(await statusOf(httpOf(answer, secure), secure, good, init));
      if (method === "POST")
        expect([...statuses].sort()).toEqual([200, 201, 400, 403, 404, 409, 413, 422, 500, 503, 504]);
    });

    test(`${method} ${path}, refused before the wallet is asked`, async () => {
      const statuses = new Set<number>();
      for (const who of ["no key", "wrong key", { ...ANYONE, scope: "none" as never }] as const)
        statuses.add(await statusOf(httpOf(ANSWERS["200"]!, secure, who), secure, good, init));
      expect([...statuses]).toEqual(description.admits === "everyone" ? [200] : [401, 403]);
    });

    test(`${method} ${path}, asked in a wrong way`, async () => {
      const http = httpOf(ANSWERS["200"]!, secure);
      const other = method === "POST" ? "GET" : "POST";
      expect(await statusOf(http, secure, good, { method: other })).toBe(405);
      expect(await statusOf(http, secure, `${good}/more`, init)).toBe(404);
      if (method === "GET") expect(await statusOf(http, secure, good, { method: "HEAD" })).toBe(200);
      else {
        expect(await statusOf(http, secure, good, { method, body: "{}" })).toBe(415);
        const large = { ...JSON_BODY, body: " ".repeat(101) };
        expect(await statusOf(http, secure, good, large)).toBe(413);
      }
    });
  }

  test("a host that is not this machine, without keys", async () => {
    const callers: Callers = { everyone: ANYONE, callerOf: () => "no key" };
    const http = httpOf(ANSWERS["200"]!, secure, ANYONE, callers);
    for (const [host, status] of [
      ["localhost", 200],
      ["a", 403],
      ["localhost:1", 200],
      ["evil.example", 403],
    ] as const) {
      const url = `${secure ? "https" : "http"}://${host}/v1/ledger`;
      expect([host, (await http.fetch(new Request(url))).status]).toEqual([host, status]);
    }
  });

  test("a host that is none", async () => {
    const http = httpOf(ANSWERS["200"]!, secure);
    const request = { url: "/v1/ledger", headers: new Headers({ host: "a b" }) } as Request;
    const { status, headers } = await http.fetch(request);
    expect([status, headers.get("x-content-type-options")]).toEqual([400, "nosniff"]);
  });
});
