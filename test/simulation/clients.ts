/** Callers of the simulated wallet: they ask, repeat themselves, lose patience, and tell the auditor what they were told. */

import type { WalletService } from "../../src/gateway/wallet-service.ts";
import type { Answer } from "../../src/ports/answer.ts";
import { type Asked, type Told, type ToldCounts, Violation } from "./auditor.ts";
import type { Random } from "./random.ts";

const ACCOUNTS = ["ann", "ben", "cat", "dan", "eve", "fay", "gus"];
const MAX_BATCH = 24;
/** As many as a batch may have: four of them fill a segment of records. */
const LARGE_BATCH = 8_192;
/** Amounts are mostly small; now and then as large as they can be. */
const LARGE = 2n ** 63n - 1n;

/** How many of what is asked was asked before, and how many amounts are as large as they can be. */
const RATES = { repeats: 0.25, largest: 0.02 };
/** A whole batch of plain transfers is read another way. */
const LARGE_RATES = { repeats: 0.1, largest: 0 };

const text = new TextEncoder();

export interface Request {
  readonly asked: readonly Asked[];
  send(wallet: WalletService): Promise<Answer>;
}

/** What was asked before, by anyone, of each kind, and between which accounts. */
export interface History {
  readonly asked: Readonly<Record<Asked["kind"], Asked[]>>;
  readonly accounts: readonly string[];
}

/** Names are long where sizes are large: then two large batches are more than the engine takes at once. */
export function newHistory(large: boolean): History {
  return {
    asked: { transfer: [], deposit: [], withdraw: [], open_account: [] },
    accounts: large ? ACCOUNTS.map((name) => `${name}-of-a-large-ledger`) : ACCOUNTS,
  };
}

/** What a caller asks next, which is added to `history`; `large` batches are as large as they may be. */
export function nextRequest(random: Random, history: History, large: boolean): Request {
  if (large || random.chance(0.3)) {
    const count = large ? LARGE_BATCH : random.between(1, MAX_BATCH);
    const rates = large ? LARGE_RATES : RATES;
    const asked = Array.from({ length: count }, () => ask(random, history, "transfer", rates));
    const body = encode({ transfers: asked.map(bodyOf) });
    return { asked, send: (wallet) => wallet.transfers(body) };
  }
  const asked = ask(
    random,
    history,
    random.pick(["transfer", "transfer", "transfer", "deposit", "withdraw", "open_account"]),
  );
  return requestOf(asked);
}

/** A deposit that nothing speaks against. */
export function probe(random: Random): Request {
  return requestOf({ id: random.uuid(), kind: "deposit", from: "@world", to: "probe", amount: 1n });
}

function requestOf(asked: Asked): Request {
  const body = encode(bodyOf(asked));
  return {
    asked: [asked],
    send: (wallet) => {
      return asked.kind === "transfer" ? wallet.transfer(body) : wallet.command(asked.kind, body);
    },
  };
}

function ask(random: Random, history: History, kind: Asked["kind"], rates = RATES): Asked {
  const old = history.asked[kind];
  if (old.length > 0 && random.chance(rates.repeats)) {
    const before = random.chance(0.7)
      ? (old[old.length - 1 - random.below(Math.min(8, old.length))] as Asked)
      : random.pick(old);
    if (random.chance(0.8)) return before;
    return { ...before, amount: before.amount === 1n ? 2n : before.amount - 1n };
  }
  const amount = random.chance(rates.largest)
    ? LARGE - BigInt(random.below(3))
    : BigInt(random.between(1, 60));
  const from = random.pick(history.accounts);
  const to = random.pick(history.accounts.filter((account) => account !== from));
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

/** What an answer says: that nothing of it entered the queue, that nobody knows, or what became of each command. */
export type ToldOf =
  | "refused"
  | "unknown"
  | { readonly told: readonly Told[]; readonly counts?: ToldCounts; readonly seq: number };

export function toldOf(request: Request, answer: Answer): ToldOf {
  if (answer.status === 503) return "refused";
  if (answer.status === 504) return "unknown";
  const body = JSON.parse(answer.body.replace(BALANCES, '"$1":"$2"'));
  if (Array.isArray(body.failures)) return { ...batchTold(request, body), seq: body.seq };
  return { told: [singleTold(request, answer, body)], seq: body.seq ?? 0 };
}

/** They may not fit a double. */
const BALANCES = /"(balance|from_balance|to_balance)":(-?[0-9]+)/g;

function singleTold(
  request: Request,
  { status, replayed, body: text }: Answer,
  body: Record<string, string> & { readonly seq: number },
): Told {
  const { seq } = body;
  // An opening that finds the account open has no line of its own.
  const opening = request.asked[0]?.kind === "open_account";
  if (status === 201) return { status: "committed", seq, replayed, toBalance: BigInt(body.balance ?? "") };
  if (status === 200 && opening) return { status: "exists" };
  if (status === 200) {
    const [fromBalance, toBalance] = [BigInt(body.from_balance ?? ""), BigInt(body.to_balance ?? "")];
    return { status: "committed", seq, replayed, fromBalance, toBalance };
  }
  if (status === 409) return { status: body.code === "account_exists" ? "exists" : "conflict" };
  if (status === 422) return { status: "rejected", seq, replayed, reason: body.code };
  throw new Violation(`an answer that nobody expects: ${status} ${text}`);
}

function batchTold(
  { asked }: Request,
  body: {
    committed: number;
    replayed: number;
    failed: number;
    failures: { index: number; transaction_id: string; code: string }[];
  },
): { readonly told: readonly Told[]; readonly counts: ToldCounts } {
  if (body.committed + body.replayed + body.failed !== asked.length || body.failed !== body.failures.length) {
    throw new Violation("the counts of a batch do not add up");
  }
  const told: Told[] = asked.map(() => ({ status: "committed" }));
  for (const { index, transaction_id, code } of body.failures) {
    if (asked[index]?.id !== transaction_id)
      throw new Violation("a failure of a batch names the wrong transaction");
    told[index] =
      code === "transaction_id_conflict" ? { status: "conflict" } : { status: "rejected", reason: code };
  }
  return { told, counts: body };
}
