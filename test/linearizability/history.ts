/**
 * Judges a history of operations on one node: is there one order of all of them, in keeping with real time,
 * in which each does what a ledger does?
 *
 * The log proposes the order: an operation takes effect at its seq (a read at the seq that it shows), and the
 * log's replay says what each must have seen. What is left to check is that no operation took effect before
 * it began or after it ended: if one ended before another began, its seq must not be the later one. That is
 * all that linearizability asks (Herlihy and Wing, 1990), with the order as a witness, so the check is exact.
 */

export interface Operation {
  readonly kind: "write" | "read";
  /** Real time at the caller, in ms. */
  readonly startMs: number;
  readonly endMs: number;
  /** Where it took effect. */
  readonly seq: number;
  readonly account: string;
  /** The account's balance as it was answered. */
  readonly balance: bigint;
}

/** What does not fit; empty for a linearizable history. `balanceAt` is the account's balance after event `seq`. */
export function violations(
  history: readonly Operation[],
  balanceAt: (account: string, seq: number) => bigint,
): string[] {
  const found: string[] = [];
  for (const operation of history) {
    const { kind, account, balance, seq } = operation;
    const right = balanceAt(account, seq);
    if (right !== balance) found.push(`a ${kind} of ${account} at seq ${seq} said ${balance}, not ${right}`);
  }
  const byStart = [...history].sort((a, b) => a.startMs - b.startMs);
  const byEnd = [...history].sort((a, b) => a.endMs - b.endMs);
  let ended = 0;
  let latest: Operation | undefined; // of those that ended before
  for (const operation of byStart) {
    for (; (byEnd[ended] as Operation).endMs < operation.startMs; ended++) {
      const done = byEnd[ended] as Operation;
      if (!latest || done.seq > latest.seq) latest = done;
    }
    if (!latest) continue;
    // Two reads may share a seq, and a read that of a write before it; a write has one of its own.
    const fits = operation.kind === "read" ? operation.seq >= latest.seq : operation.seq > latest.seq;
    if (!fits) {
      found.push(
        `a ${operation.kind} at seq ${operation.seq} began at ${operation.startMs}, after a ${latest.kind} at seq ${latest.seq} had ended at ${latest.endMs}`,
      );
    }
  }
  return found;
}
