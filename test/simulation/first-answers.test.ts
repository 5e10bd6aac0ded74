/** The judge of first answers is exact: it finds two of one id, also where batches only count them. */

import { describe, expect, test } from "bun:test";
import { FirstAnswers } from "../../tools/harness/first-answers.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";

const everyone = () => true;

describe("of one id", () => {
  test("two answers that decided it are one too many", () => {
    const answers = new FirstAnswers();
    expect(answers.decided(["a"], 1)).toBe(true);
    expect(answers.decided(["a"], 1)).toBe(false);
  });

  test("a batch and a single answer are one too many, in either order", () => {
    for (const batchFirst of [true, false]) {
      const answers = new FirstAnswers();
      const batch = () => answers.decided(["a", "b"], 2);
      const single = () => answers.decided(["b"], 1);
      const [first, second] = batchFirst ? [batch, single] : [single, batch];
      expect(first()).toBe(true);
      expect(second()).toBe(false);
    }
  });

  test("a batch that decided another one of its ids leaves it to a later answer", () => {
    const answers = new FirstAnswers();
    expect(answers.decided(["a", "b"], 1)).toBe(true);
    expect(answers.decided(["a"], 1)).toBe(true);
    expect(answers.decided(["b"], 1)).toBe(false);
  });

  test("no answer at all is found, where a batch decided too few", () => {
    const answers = new FirstAnswers();
    expect(answers.decided(["a", "b"], 1)).toBe(true);
    expect(answers.has("a", everyone) && answers.has("b", everyone)).toBe(false);
  });
});

test("random batches of which each id has one first answer are believed; with one more they are not", () => {
  const random = randomIntegers(SEED);
  for (let round = 0; round < 300; round++) {
    const ids = Array.from({ length: 1 + random(12) }, (_, number) => String(number));
    const batches = Array.from({ length: 1 + random(6) }, () => ({ ids: new Set<string>(), first: 0 }));
    for (const id of ids) {
      const first = batches[random(batches.length)] as (typeof batches)[number];
      first.first++;
      for (const batch of batches) if (batch === first || random(3) === 0) batch.ids.add(id);
    }
    const answers = new FirstAnswers();
    for (const { ids: of, first } of batches) expect(answers.decided([...of], first)).toBe(true);
    for (const id of ids) expect(answers.has(id, everyone)).toBe(true);
    expect(answers.decided(ids, 1)).toBe(false);
  }
});
