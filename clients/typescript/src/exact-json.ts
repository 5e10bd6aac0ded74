/**
 * Answers as JSON whose integers keep every digit.
 *
 * JSON.parse rounds above 2^53. The source text that a reviver is given elsewhere does not exist in Node 20,
 * so long numbers are put in quotes before the text is parsed.
 */

const STRINGS_AND_LONG_INTEGERS = /"(?:[^"\\]|\\.)*"|-?[0-9]{16,}/g;
const INTEGER = /^-?[0-9]+$/;

/** An object of an answer. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** An answer does not say what coffer says: something on the way has made or broken it. */
export class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
}

/** The object in `text`; undefined where it is something else. Integers of 16 digits and more are strings in it. */
export function parseObject(text: string): JsonObject | undefined {
  const quoted = text.replace(STRINGS_AND_LONG_INTEGERS, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  try {
    const value: unknown = JSON.parse(quoted);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** As parseObject. Throws BrokenAnswer where it is something else. */
export function answerObject(text: string): JsonObject {
  const answer = parseObject(text);
  if (!answer) throw new BrokenAnswer("the answer is no JSON object");
  return answer;
}

/** The objects in a member. Throws BrokenAnswer. */
export function objectsIn(object: JsonObject, member: string): readonly JsonObject[] {
  const value = object[member];
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new BrokenAnswer(`the answer's ${member} is no array of objects`);
}

/** Throws BrokenAnswer. */
export function textIn(object: JsonObject, member: string): string {
  const value = object[member];
  if (typeof value === "string") return value;
  throw new BrokenAnswer(`the answer's ${member} is no text`);
}

/** An exact integer of any size. Throws BrokenAnswer. */
export function integerIn(object: JsonObject, member: string): bigint {
  const value = object[member];
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "string" && INTEGER.test(value)) return BigInt(value);
  throw new BrokenAnswer(`the answer's ${member} is no integer`);
}

/** An integer from 0 to 2^53−1. Throws BrokenAnswer. */
export function countIn(object: JsonObject, member: string): number {
  const value = Number(integerIn(object, member));
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new BrokenAnswer(`the answer's ${member} is no count`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
