/**
 * What Coffer is measured against, in a process of its own with one thread: Elysia with its own validation of
 * the same bodies, and answers of the same shape, with nothing in between.
 */

import { Elysia, t } from "elysia";

const MAX_BATCH = 8_192;

const transfer = t.Object({
  transaction_id: t.Optional(t.String()),
  from_account: t.String(),
  to_account: t.String(),
  amount: t.Integer({ minimum: 1 }),
  currency: t.Optional(t.String()),
});
const transfers = t.Object({ transfers: t.Array(transfer, { minItems: 1, maxItems: MAX_BATCH }) });
const account = t.Object({ account_id: t.String() });

const COMMITTED = {
  transaction_id: "0190b5c0-0000-7000-8000-000000000000",
  status: "committed",
  seq: 1_000_000,
  from_balance: 1_000_000_000,
  to_balance: 1_000_000_000,
};
const BALANCE = {
  currency: "USD",
  balance: 1_000_000_000,
  available: 1_000_000_000,
  frozen: 0,
  seq: 1_000_000,
};

const app = new Elysia()
  .post("/v1/wallet/transfer", () => COMMITTED, { body: transfer })
  .post(
    "/v1/wallet/transfers",
    ({ body }) => ({
      committed: body.transfers.length,
      replayed: 0,
      failed: 0,
      failures: [],
      seq: 1_000_000,
    }),
    { body: transfers },
  )
  .get("/v1/wallet/balance/:account_id", ({ params }) => ({ account_id: params.account_id, ...BALANCE }), {
    params: account,
  })
  .listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
console.log(`listening on http://127.0.0.1:${app.server?.port}`);
