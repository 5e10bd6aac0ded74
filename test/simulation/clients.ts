/** Callers of the simulated wallet: they ask, repeat themselves, lose patience, and tell the auditor what they were told. */

import type { Answer } from "../../src/gateway/answers.ts";
import type { WalletService } from "../../src/gateway/wallet-service.ts";
import { type Asked, type Told, Violation } from "./auditor.ts";
import type { Random } from "./random.ts";

const ACCOUNTS = ["ann", "ben", "cat", "dan", "eve", "fay", "gus"];
const MAX_BATCH = 24;
/** Amounts are mostly small; now and then as large as they can be. */
const LARGE = 2n ** 63n - 1n;

const text = new TextEncoder();

export interface Request {
  readonly asked: readonly Asked[];
  send(wallet: WalletService): Promise<Answer>;
}

/** What was asked before, by anyone, of each kind. */
export type History = Readonly<Record<Asked["kind"], Asked[]>>;

/** What a caller asks next, which is added to `history`. */
export function nextRequest(random: Random, history: History): Request {
  if (random.chance(0.3)) {
    const count = random.between(1, MAX_BATCH);
    const asked = Array.from({ length: count }, () => ask(random, history, "transfer"));
    const body = encode({ transfers: asked.map(bodyOf) });
    return { asked, send: (wallet) => wallet.transfers(body) };
  }
  const asked = ask(
    random,
    history,
    random.pick(["transfer", "transfer", "transfer", "deposit", "withdraw", "open_account"]),
  );
  const body = encode(bodyOf(asked));
  return {
    asked: [asked],
    send: (wallet) => {
      if (asked.kind === "transfer") return wallet.transfer(body);
      return asked.kind === "open_account" ? wallet.openAccount(body) : wallet.move(asked.kind, body);
    },
  };
}

function ask(random: Random, history: History, kind: Asked["kind"]): Asked {
  const old = history[kind];
  if (old.length > 0 && random.chance(0.25)) {
    const before = random.chance(0.7)
      ? (old[old.length - 1 - random.below(Math.min(8, old.length))] as Asked)
      : random.pick(old);
    if (random.chance(0.8)) return before;
    return { ...before, amount: before.amount === 1n ? 2n : before.amount - 1n };
  }
  const amount = random.chance(0.02) ? LARGE - BigInt(random.below(3)) : BigInt(random.between(1, 60));
  const from = random.pick(ACCOUNTS);
  const to = random.pick(ACCOUNTS.filter((account) => account !== from));
  const id = random.uuid();
  const asked: Asked = {
    id,
    kind,
    from: kind === "deposit" || kind === "open_account" ? "@world" : from,
    to:
      kind === "withdraw"
        ? "@world"
        : kind === "open_account" && random.chance(0.3)
          ? `new-${random.below(40)}`
          : to,
    amount,
  };
  old.push(asked);
  return asked;
}

function bodyOf({ id, kind, from, to, amount }: Asked): object {
  const transaction_id = id;
  if (kind === "transfer")
    return { transaction_id, from_account: from, to_account: to, amount: String(amount) };
  if (kind === "open_account") return { transaction_id, account_id: to, initial_balance: String(amount) };
  return { transaction_id, account_id: kind === "deposit" ? to : from, amount: String(amount) };
}

/** Amounts leave as plain numbers: as strings only where JSON would round them. */
function encode(body: object): Uint8Array {
  return text.encode(JSON.stringify(body).replace(/"(amount|initial_balance)":"([0-9]{1,15})"/g, '"$1":$2'));
}

/** What an answer says of each command; undefined where it leaves the outcome open. */
export function toldOf(request: Request, answer: Answer): Told[] | undefined {
  const body = JSON.parse(answer.body);
  if (answer.status === 503 || answer.status === 504) return undefined;
  if (Array.isArray(body.failures)) return batchTold(request, body);
  switch (answer.status) {
    case 201:
      return [{ status: "committed", seq: body.seq, reason: undefined }];
    case 200:
      // An opening that finds the account open has no line of its own.
      if (request.asked[0]?.kind === "open_account")
        return [{ status: "exists", seq: undefined, reason: undefined }];
      return [{ status: "committed", seq: body.seq, reason: undefined }];
    case 409:
      return [
        { status: body.code === "account_exists" ? "exists" : "conflict", seq: undefined, reason: undefined },
      ];
    case 422:
      return [{ status: "rejected", seq: body.seq, reason: body.code }];
    default:
      throw new Violation(`an answer that nobody expects: ${answer.status} ${answer.body}`);
  }
}

function batchTold(
  { asked }: Request,
  body: {
    committed: number;
    replayed: number;
    failed: number;
    failures: { index: number; transaction_id: string; code: string }[];
  },
): Told[] {
  if (body.committed + body.replayed + body.failed !== asked.length || body.failed !== body.failures.length) {
    throw new Violation("the counts of a batch do not add up");
  }
  const told: Told[] = asked.map(() => ({ status: "committed", seq: undefined, reason: undefined }));
  for (const { index, transaction_id, code } of body.failures) {
    if (asked[index]?.id !== transaction_id)
      throw new Violation("a failure of a batch names the wrong transaction");
    const conflict = code === "transaction_id_conflict";
    told[index] = {
      status: conflict ? "conflict" : "rejected",
      seq: undefined,
      reason: conflict ? undefined : code,
    };
  }
  return told;
}
