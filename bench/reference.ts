/**
 * The route that a transfer is measured against: Elysia with its own validation of the same body, and an
 * answer of the same shape, with nothing in between.
 */

import { Elysia, t } from "elysia";

const body = t.Object({
  transaction_id: t.Optional(t.String()),
  from_account: t.String(),
  to_account: t.String(),
  amount: t.Integer({ minimum: 1 }),
  currency: t.Optional(t.String()),
});

const ANSWER = {
  transaction_id: "0190b5c0-0000-7000-8000-000000000000",
  status: "committed",
  seq: 1_000_000,
  from_balance: 1_000_000_000,
  to_balance: 1_000_000_000,
};

const app = new Elysia()
  .post("/v1/wallet/transfer", () => ANSWER, { body })
  .listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
console.log(`listening on http://127.0.0.1:${app.server?.port}`);
