/**
 * Calls a node by the types that openapi-typescript has made of its document, and prints what it got. That it compiles
 * shows that answers and problems are typed.
 */

import process from "node:process";
import type { components, operations, paths } from "../../build/generated-clients/coffer.d.ts";

type Schemas = components["schemas"];
type JsonOf<Response> = Response extends { content: infer Content } ? Content[keyof Content] : never;

/** What an operation may answer: the statuses, each with its body. */
type AnswerOf<Operation extends { responses: object }> = {
  [Status in keyof Operation["responses"]]: { status: Status; body: JsonOf<Operation["responses"][Status]> };
}[keyof Operation["responses"]];

const url = process.argv[2] ?? "";

async function post<Path extends "/v1/wallet/accounts" | "/v1/wallet/transfer">(
  path: Path,
  body: paths[Path]["post"]["requestBody"]["content"]["application/json"],
): Promise<AnswerOf<paths[Path]["post"]>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() } as AnswerOf<paths[Path]["post"]>;
}

async function balance(account: string): Promise<AnswerOf<operations["getBalance"]>> {
  const response = await fetch(`${url}/v1/wallet/balance/${account}`);
  return { status: response.status, body: await response.json() } as AnswerOf<operations["getBalance"]>;
}

/** Takes a number alone: a type that is lost would not compile. */
const number = (value: number) => value;

await post("/v1/wallet/accounts", { account_id: "alice", initial_balance: 100 });
const moved = await post("/v1/wallet/transfer", { from_account: "alice", to_account: "bob", amount: 20 });
if (moved.status !== 200) throw new Error(moved.body.detail);
const held = await balance("alice");
if (held.status !== 200) throw new Error(held.body.detail);
const refused = await post("/v1/wallet/transfer", {
  from_account: "alice",
  to_account: "bob",
  amount: "1000",
});
if (refused.status !== 422) throw new Error("it was not refused");
const problem: Schemas["Transfer422Problem"] = refused.body;
// @ts-expect-error: no transfer has this code at this status
if (problem.code === "account_exists") throw new Error("it has another code");
// @ts-expect-error: the status is known
problem.status satisfies 400;
// @ts-expect-error: a field is missing
({ from_account: "alice", to_account: "bob" }) satisfies Schemas["TransferRequest"];

console.log(
  JSON.stringify({
    left: number(moved.body.from_balance),
    balance: number(held.body.balance),
    refused: problem.code,
  }),
);
