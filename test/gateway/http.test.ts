/** What becomes of a request whose route fails. */

import { expect, test } from "bun:test";
import { createHttp } from "../../src/gateway/http.ts";
import type { WalletService } from "../../src/gateway/wallet-service.ts";

const BUG = new Error("a bug");

function fail(): never {
  throw BUG;
}

async function failLater(): Promise<never> {
  throw BUG;
}

for (const [how, read] of [
  ["throws", fail],
  ["rejects", failLater],
] as const) {
  test(`a route that ${how} answers 500, which counts as its own, and its error is told once`, async () => {
    const told: (string | number)[][] = [];
    const errors: unknown[] = [];
    const http = createHttp({} as WalletService, {
      callers: { everyone: { scope: "admin", within: undefined, ended: false }, callerOf: () => "no key" },
      secure: false,
      maxBodyBytes: 0,
      maxBodiesBytes: 0,
      unready: () => undefined,
      isHttp10: () => false,
      failed: (error) => errors.push(error),
      read,
      metrics: async () => "",
      newestSeal: () => undefined,
      measure: (route) => (status) => told.push([route, status]),
    });
    const answer = await http.fetch(new Request("http://localhost/v1/ledger"));
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ code: "internal_error" });
    expect(told).toEqual([["/v1/ledger", 500]]);
    expect(errors).toEqual([BUG]);
  });
}
