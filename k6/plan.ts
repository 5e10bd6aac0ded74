/**
 * What the virtual users send: a function of seed, lane and step alone, so that whoever checks the ledger
 * afterwards knows each request without being told. Runs in k6 and in Bun.
 *
 * A lane is one virtual user's row of steps; the shared lane's steps are sent by many of them at the same
 * time, with the same ids.
 */

export const USERS = 100;
/** Requests that a user sends before it writes down what came back. */
export const STEPS_PER_ITERATION = 20;

const HOT_ACCOUNTS = 4;
const COMMON_ACCOUNTS = 120;
const POOR_ACCOUNTS = 40;
/** How many percent of payers and of payees are poor: they pay more often than they are paid, and stay so. */
const POOR_PAYERS = 30;
const POOR_PAYEES = 10;
const MAX_AMOUNT = 40;
const MAX_BATCH = 8;
/** How far back a repeat reaches. */
const MAX_BACK = 40;
/** Steps after which the users go on to the next shared transfer. */
const STEPS_PER_SHARED = 10;
const SHARED_LANE = 0xffff;

export type Kind = "transfer" | "deposit" | "withdraw";

/** One transaction: its id and content. */
export interface Planned {
  readonly id: string;
  readonly kind: Kind;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

export interface Step {
  readonly path: string;
  readonly body: object;
  /** Several in a batch, where an id may stand twice. */
  readonly transactions: readonly Planned[];
  /** Whether it was sent before. */
  readonly repeat: boolean;
}

/** An account as it is opened. */
export interface Funded {
  readonly account: string;
  readonly balance: number;
}

export function fundedAccounts(): Funded[] {
  const row = (name: string, count: number, balance: number) =>
    Array.from({ length: count }, (_, index) => ({ account: `${name}-${index}`, balance }));
  return [
    ...row("hot", HOT_ACCOUNTS, 100_000),
    ...row("common", COMMON_ACCOUNTS, 500),
    ...row("poor", POOR_ACCOUNTS, 10),
  ];
}

/** Step `number`, from 0, of the user `lane`, from 1. */
export function stepOf(seed: number, lane: number, number: number): Step {
  const dice = new Dice(seed, lane, number);
  const roll = dice.below(100);
  if (roll < 12 && number > 0) {
    const back = 1 + dice.below(Math.min(number, MAX_BACK));
    return { ...stepOf(seed, lane, number - back), repeat: true };
  }
  if (roll < 20) {
    const shared = Math.floor(number / STEPS_PER_SHARED);
    return single(seed, SHARED_LANE, shared, "transfer");
  }
  if (roll < 28) return batch(seed, lane, number, dice);
  if (roll < 36) return single(seed, lane, number, "deposit");
  if (roll < 44) return single(seed, lane, number, "withdraw");
  return single(seed, lane, number, "transfer");
}

function single(seed: number, lane: number, number: number, kind: Kind): Step {
  const planned = transactionOf(seed, lane, number, 0, kind);
  const { id: transaction_id, from, to, amount } = planned;
  const accounts =
    kind === "transfer"
      ? { from_account: from, to_account: to }
      : { account_id: kind === "deposit" ? to : from };
  return {
    path: `/v1/wallet/${kind}`,
    body: { transaction_id, ...accounts, amount },
    transactions: [planned],
    repeat: false,
  };
}

function batch(seed: number, lane: number, number: number, dice: Dice): Step {
  const count = 2 + dice.below(MAX_BATCH - 1);
  const transactions = Array.from({ length: count }, (_, part) =>
    transactionOf(seed, lane, number, part + 1, "transfer"),
  );
  if (dice.below(3) === 0) transactions.push(transactions[0] as Planned);
  return {
    path: "/v1/wallet/transfers",
    body: {
      transfers: transactions.map(({ id, from, to, amount }) => ({
        transaction_id: id,
        from_account: from,
        to_account: to,
        amount,
      })),
    },
    transactions,
    repeat: false,
  };
}

function transactionOf(seed: number, lane: number, number: number, part: number, kind: Kind): Planned {
  const dice = new Dice(seed ^ 0x5bd1e995, lane * 16 + part, number);
  const id = `${hex(seed, 8)}-${hex(lane, 4)}-7${hex(part, 3)}-8000-${hex(number, 12)}`;
  const from = kind === "deposit" ? "@world" : accountOf(dice, POOR_PAYERS);
  let to = kind === "withdraw" ? "@world" : accountOf(dice, POOR_PAYEES);
  while (to === from) to = accountOf(dice, POOR_PAYEES);
  return { id, kind, from, to, amount: 1 + dice.below(MAX_AMOUNT) };
}

function accountOf(dice: Dice, poorPercent: number): string {
  const roll = dice.below(100);
  if (roll < poorPercent) return `poor-${dice.below(POOR_ACCOUNTS)}`;
  return roll < 70 ? `hot-${dice.below(HOT_ACCOUNTS)}` : `common-${dice.below(COMMON_ACCOUNTS)}`;
}

function hex(value: number, digits: number): string {
  return (value >= 0 ? value : value + 0x1_0000_0000).toString(16).padStart(digits, "0");
}

/** Throws that depend on nothing but three numbers: SplitMix32 from a mix of them. */
class Dice {
  #state: number;

  constructor(a: number, b: number, c: number) {
    this.#state = Math.imul(a ^ Math.imul(b, 0x85ebca6b), 0xc2b2ae35) ^ Math.imul(c + 1, 0x27d4eb2f);
  }

  /** From 0 to `bound` - 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % bound;
  }
}
