/** The answer to a batch of transfers, read strictly: a call may only be told what is surely its own. */

import { answerObject, BrokenAnswer, countIn, objectsIn, textIn } from "./exact-json.ts";
import { type HttpAnswer, problemOf } from "./exchange.ts";

export interface Decided {
  readonly kind: "decided";
  /** The highest of the batch. */
  readonly seq: number;
  /** How many had been committed before. */
  readonly replayed: number;
  /** The codes of those that failed, by their place in the batch. */
  readonly failures: ReadonlyMap<number, string>;
}

/** Nothing was done, for what the batch says. */
export interface Refused {
  readonly kind: "refused";
  /** 403 where the key is not good for the account that pays. */
  readonly status: number;
  readonly code: string | undefined;
  /** The place of the transfer at fault; undefined where it is not told, or where they are too many. */
  readonly index: number | undefined;
  /** A JSON pointer into that transfer. */
  readonly path: string;
  readonly detail: string;
  readonly tooLarge: boolean;
}

/** Nothing was done, but not for what the batch says. */
export interface Failed {
  readonly kind: "failed";
  readonly status: number;
  readonly code: string | undefined;
}

export type BatchAnswer = Decided | Refused | Failed;

const PLACE = /^\/transfers\/([0-9]+)(\/.*)?$/;

const OK = 200;
const BAD_REQUEST = 400;
const FORBIDDEN = 403;
const TOO_LARGE = 413;

/** `count` is the length of the batch that was sent. Throws BrokenAnswer. */
export function readBatchAnswer(answer: HttpAnswer, count: number): BatchAnswer {
  const { status } = answer;
  if (status === OK) return decided(answer, count);
  const { code, path, detail = "is refused" } = problemOf(answer);
  const tooLarge = status === TOO_LARGE;
  const refused = { kind: "refused", status, code, detail, tooLarge } as const;
  if (status === BAD_REQUEST || status === FORBIDDEN) {
    const [, place, inside = ""] = PLACE.exec(path ?? "") ?? [];
    if (place !== undefined && Number(place) < count)
      return { ...refused, index: Number(place), path: inside };
  }
  if (count === 1 && status === BAD_REQUEST) return { ...refused, index: 0, path: path ?? "" };
  if (count > 1 && (tooLarge || status === BAD_REQUEST)) return { ...refused, index: undefined, path: "" };
  return { kind: "failed", status, code };
}

function decided({ text }: HttpAnswer, count: number): Decided {
  const body = answerObject(text);
  const replayed = countIn(body, "replayed");
  const failures = new Map<number, string>();
  for (const failure of objectsIn(body, "failures")) {
    const index = countIn(failure, "index");
    if (index >= count) throw new BrokenAnswer(`the answer names transfer ${index} of ${count}`);
    failures.set(index, textIn(failure, "code"));
  }
  if (
    countIn(body, "failed") !== failures.size ||
    countIn(body, "committed") + replayed + failures.size !== count
  )
    throw new BrokenAnswer(`the answer's counts do not add up to ${count}`);
  return { kind: "decided", seq: countIn(body, "seq"), replayed, failures };
}
