/**
 * Every problem code that /openapi.json publishes for a route is produced by that route here, and no other: requests
 * are decided by a real ledger, in this process; only the queue's state, keys and faults are made up.
 */

import { expect, spyOn, test } from "bun:test";
import { GIVEN_REJECTIONS, moduleOf } from "../../src/domain/commands/commands.ts";
import { TRANSACTION_KINDS } from "../../src/domain/kinds.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import type { CommandSender, Sent } from "../../src/gateway/command-sender.ts";
import { createHttp, type Http, type HttpOptions } from "../../src/gateway/http.ts";
import { PROBLEM_CODES, problem } from "../../src/gateway/problems.ts";
import { ReadModel } from "../../src/gateway/read-model.ts";
import { WalletService } from "../../src/gateway/wallet-service.ts";
import type { Caller } from "../../src/ports/keys.ts";
import { buildFrame, type EncodedCommands } from "../../src/wire/frame.ts";
import { readFrame } from "../../src/wire/frame-reader.ts";
import { type Json, openApiText, ROUTES } from "../../tools/harness/openapi.ts";
import { currency, id, MAX, newId, openLedger } from "../support/ledger-specs.ts";

const MAX_BODY_BYTES = 1 << 16;
const WHY = "the test says so";
/** What becomes of commands that do not reach the ledger. */
const NOT_DECIDED: readonly Sent[] = [
  { state: "unavailable", why: WHY },
  { state: "overloaded", why: WHY },
  { state: "unknown", why: WHY },
];

interface Situation extends Partial<HttpOptions> {
  readonly strict?: boolean;
  /** Instead of being decided. */
  readonly sent?: Sent;
}

/** A gateway beside a ledger of its own, which decides at once. */
function gateway({ strict = false, sent, ...options }: Situation = {}): Http {
  const engine = new WalletEngine();
  const balances = new ReadModel();
  const decide = (command: Parameters<WalletEngine["execute"]>[0]) => {
    const events = engine.execute(command);
    if (events.length > 0) {
      engine.apply(events);
      balances.apply([events]);
    }
    return engine.outcome(command, events);
  };
  decide(openLedger({ strict }));
  const sender = {
    busy: () => undefined,
    send: async (commands: EncodedCommands): Promise<Sent> => {
      const frame = readFrame(buildFrame(new Uint8Array(16), 1, [commands]), currency("USD"));
      if (!frame) throw new Error("the frame cannot be read");
      return sent ?? { state: "done", outcomes: frame.commands.map(decide) };
    },
  } as unknown as CommandSender;
  const wallet = new WalletService(sender, balances, newId, () => undefined);
  return createHttp(wallet, {
    callers: { everyone: undefined, callerOf: (key) => (key === null ? "no key" : caller("admin")) },
    secure: false,
    maxBodyBytes: MAX_BODY_BYTES,
    maxBodiesBytes: MAX_BODY_BYTES,
    unready: () => undefined,
    isHttp10: () => false,
    failed: () => {},
    read: (answer) => answer(),
    metrics: async () => "",
    newestSeal: () => undefined,
    measure: () => () => {},
    ...options,
  });
}

function caller(scope: Caller["scope"]): Caller {
  return { scope, within: undefined, ended: false };
}

type Route = (typeof ROUTES)[number];
/** By operation. */
const seen = new Map<string, Set<string>>();
const failures = new Set<string>();

async function ask(http: Http, route: Route, init: RequestInit & { readonly query?: string } = {}) {
  const { headers, query = "", ...more } = init;
  const request = new Request(`http://localhost${route.path.replace(/:\w+/, "alice")}${query}`, {
    method: route.method,
    headers: { host: "localhost", authorization: "a key", "content-type": "application/json", ...headers },
    ...(route.method === "POST" ? { body: "{}" } : {}),
    ...more,
  });
  await note(route, await http.fetch(request));
}

async function note({ description: { operationId } }: Route, response: Response): Promise<void> {
  const text = await response.text();
  if (response.headers.get("content-type") !== "application/problem+json") {
    if (operationId === "transferBatch")
      for (const { code } of JSON.parse(text).failures ?? []) failures.add(code);
    return;
  }
  const codes = seen.get(operationId) ?? new Set();
  seen.set(operationId, codes.add(JSON.parse(text).code));
}

function routeOf(operationId: string): Route {
  const route = ROUTES.find(({ description }) => description.operationId === operationId);
  if (!route) throw new Error(`there is no ${operationId}`);
  return route;
}

/** What any route may meet. */
async function askAnyhow(route: Route): Promise<void> {
  const badHost = { url: route.path, headers: new Headers({ host: "a b" }) } as Request;
  await note(route, await gateway().fetch(badHost));
  await ask(gateway(), route, { method: "PUT", body: "" });
  let failed = false;
  const measure = () => () => {
    if (failed) return;
    failed = true;
    throw new Error(WHY);
  };
  await ask(gateway({ measure }), route);
  await note(
    route,
    await gateway().fetch(new Request(`http://localhost${route.path}`, { method: route.method })),
  );
  const callers = {
    everyone: undefined,
    callerOf: () => caller(route.path === "/metrics" ? "read" : "metrics"),
  };
  await ask(gateway({ callers }), route);
  await ask(gateway({ read: () => problem("not_ready", WHY), unready: () => WHY }), route);
  await ask(gateway(), route);
}

/** What a route that takes a body may meet. */
async function askToSend(route: Route): Promise<void> {
  await ask(gateway(), route, { headers: { "content-type": "text/plain" } });
  const large = String(MAX_BODY_BYTES + 1);
  await ask(gateway(), route, { headers: { "content-length": large } });
  const timer = spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void) => {
    queueMicrotask(run);
    return 0;
  }) as unknown as typeof setTimeout);
  await ask(gateway(), route, { body: new ReadableStream() });
  timer.mockRestore();
  const { body } = route.description;
  for (const sent of NOT_DECIDED)
    await ask(gateway({ sent }), route, { body: JSON.stringify(body?.example) });
}

/** Requests that one ledger decides one after the other. */
async function decided(
  situation: Situation,
  ...requests: readonly (readonly [operationId: string, body: object])[]
): Promise<void> {
  const http = gateway(situation);
  for (const [operationId, body] of requests)
    await ask(http, routeOf(operationId), { body: JSON.stringify(body) });
}

test("each route gives every code that is published for it, and no other", async () => {
  for (const route of ROUTES) {
    await askAnyhow(route);
    if (route.method === "POST") await askToSend(route);
  }
  const [alice, bob] = [{ account_id: "alice" }, { account_id: "bob" }];
  const payment = { from_account: "alice", to_account: "bob", amount: 5 };
  const used = { transaction_id: id(1) };
  await decided(
    {},
    ["openAccount", { ...alice, initial_balance: 10, ...used }],
    ["openAccount", { ...alice, initial_balance: 11 }],
    ["openAccount", { ...bob, ...used }],
    ["transfer", { ...payment, ...used }],
    ["deposit", { ...bob, amount: 1, ...used }],
    ["withdraw", { ...alice, amount: 1, ...used }],
    ["transfer", { ...payment, amount: 11 }],
    ["withdraw", { ...alice, amount: 11 }],
    [
      "transferBatch",
      {
        transfers: [
          { ...payment, amount: 11 },
          { ...payment, ...used },
        ],
      },
    ],
    ["deposit", { ...bob, amount: String(MAX) }],
    ["openAccount", { account_id: "carol", initial_balance: String(MAX) }],
  );
  await decided(
    { strict: true },
    ["transfer", payment],
    ["deposit", { ...bob, amount: 1 }],
    ["withdraw", { ...alice, amount: 1 }],
    ["transferBatch", { transfers: [payment] }],
  );

  // A client that is asked for the balance of no account asks for a path that there is not.
  const nobody = new Request("http://localhost/v1/wallet/balance/", { headers: { host: "localhost" } });
  await note(routeOf("getBalance"), await gateway().fetch(nobody));

  const document: Json = JSON.parse(await openApiText());
  const enumOf = ({ $ref }: Json): string[] =>
    document.components.schemas[$ref.split("/").at(-1)].properties.code.enum;
  const published = Object.values<Json>(document.paths).flatMap((operations) =>
    Object.values<Json>(operations).map(({ operationId, responses }): [string, string[]] => {
      const schemas = Object.values<Json>(responses).map(
        ({ content }) => content["application/problem+json"]?.schema,
      );
      return [operationId, schemas.filter(Boolean).flatMap(enumOf).sort()];
    }),
  );
  expect(Object.fromEntries([...seen].map(([operation, codes]) => [operation, [...codes].sort()]))).toEqual(
    Object.fromEntries(published),
  );
  const inBatches = document.components.schemas.BatchAnswer.properties.failures.items.properties.code.enum;
  expect([...failures].sort()).toEqual([...inBatches].sort());
  // The answer to a batch over NATS may be too large; HTTP has no such limit.
  const anywhere = new Set([...seen.values()].flatMap((codes) => [...codes])).add("batch_too_large");
  expect([...anywhere].sort()).toEqual([...new Set([...PROBLEM_CODES, ...GIVEN_REJECTIONS])].sort());
});

test("what a command can be rejected for stands in the order of precedence", () => {
  for (const kind of TRANSACTION_KINDS) {
    const { rejections } = moduleOf(kind);
    expect(GIVEN_REJECTIONS.filter((reason) => rejections.includes(reason))).toEqual([...rejections]);
  }
});
