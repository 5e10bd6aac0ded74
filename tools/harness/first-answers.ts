/**
 * Which answer is the first one of each id: at most one may be. A single transfer's answer says so itself; a
 * batch's only counts how many of its ids it decided, so each answer is matched with as many ids of its own
 * that no other answer needs (Kuhn's augmenting paths; exact, whatever the order of the answers).
 */

/** An answer that decided some of these ids. */
interface Deciding {
  readonly ids: readonly string[];
}

export class FirstAnswers {
  /** Of each id, the answer that is its first one, as far as is known. */
  readonly #firstOf = new Map<string, Deciding>();
  /** Of each id, the answers that may be its first one. */
  readonly #candidatesOf = new Map<string, Deciding[]>();

  /** An answer decided `count` of `ids`; returns false where other answers have decided too many of them. */
  decided(ids: readonly string[], count: number): boolean {
    if (count === 0) return true;
    const answer = { ids };
    let left = count;
    for (const id of ids) {
      const candidates = this.#candidatesOf.get(id);
      if (!candidates) this.#candidatesOf.set(id, [answer]);
      else if (candidates.at(-1) !== answer) candidates.push(answer);
      if (left === 0 || this.#firstOf.has(id)) continue;
      this.#firstOf.set(id, answer);
      left--;
    }
    const seen = new Set<string>();
    while (left > 0 && this.#takeOne(answer, seen)) left--;
    return left === 0;
  }

  /** Whether some answer can be the first one of `id`, when those that are `needed` have one too. */
  has(id: string, needed: (id: string) => boolean): boolean {
    return this.#firstOf.has(id) || this.#give(id, needed, new Set());
  }

  /** Finds one more id for an answer, where others can do without it. `seen`: those that nobody can do without. */
  #takeOne(answer: Deciding, seen: Set<string>): boolean {
    for (const id of answer.ids) {
      if (this.#firstOf.has(id)) continue;
      this.#firstOf.set(id, answer);
      return true;
    }
    for (const id of answer.ids) {
      const holder = this.#firstOf.get(id) as Deciding;
      if (holder === answer || seen.has(id)) continue;
      seen.add(id);
      if (!this.#takeOne(holder, seen)) continue;
      seen.delete(id);
      this.#firstOf.set(id, answer);
      return true;
    }
    return false;
  }

  /** Finds an answer for one more id: it gives up another one of its ids, which needs none or finds another. */
  #give(id: string, needed: (id: string) => boolean, seen: Set<string>): boolean {
    seen.add(id);
    for (const answer of this.#candidatesOf.get(id) ?? []) {
      if (this.#firstOf.get(id) === answer) continue;
      for (const other of answer.ids) {
        if (this.#firstOf.get(other) !== answer || seen.has(other)) continue;
        if (needed(other) && !this.#give(other, needed, seen)) continue;
        if (this.#firstOf.get(other) === answer) this.#firstOf.delete(other);
        this.#firstOf.set(id, answer);
        return true;
      }
    }
    return false;
  }
}
