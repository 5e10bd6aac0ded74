/**
 * JSON (RFC 8259), read strictly: what others pass over is refused here, with a pointer to the place.
 *
 * Beyond JSON.parse: the bytes must be UTF-8, a key may stand in an object once only, nesting, the number of
 * values and the length of keys are bounded, and a number keeps its text, so that no integer is ever rounded.
 */

/** A number as it stood in the text. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

export type JsonValue = null | boolean | string | JsonNumber | JsonValue[] | JsonObject;
export type JsonObject = Map<string, JsonValue>;

/** How deep arrays and objects may nest; every request of ours needs 3. */
const MAX_DEPTH = 16;
/** How many values a text may hold; the largest batch of ours needs 49,155. */
const MAX_VALUES = 65_536;
/** The longest key in characters; ours have up to 15. It bounds the pointers in answers as well. */
const MAX_KEY_LENGTH = 256;

/** The text is not what was asked for; `path` is a JSON pointer (RFC 6901) to the place. */
export class InvalidInput extends Error {
  override readonly name = "InvalidInput";
  constructor(
    message: string,
    readonly path: string,
  ) {
    super(message);
  }
}

/** `path` with one more step. */
export function pointer(path: string, step: string | number): string {
  return `${path}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws InvalidInput. */
export function parseJson(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new InvalidInput("not UTF-8", "");
  }
  return new Parser(text).document();
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SPACE = /[ \t\n\r]*/y;

const QUOTE = 34;
const BACKSLASH = 92;
/** Below are control characters, which must not stand in a string. */
const FIRST_PRINTABLE = 32;

class Parser {
  #at = 0;
  #values = 0;

  constructor(private readonly text: string) {}

  document(): JsonValue {
    this.#space();
    if (this.#at === this.text.length) throw new InvalidInput("the text is empty", "");
    const value = this.#value("", 0);
    if (this.#at < this.text.length) this.#fail("", "the end of the text");
    return value;
  }

  #value(path: string, depth: number): JsonValue {
    const first = this.text[this.#at];
    if (++this.#values > MAX_VALUES) throw new InvalidInput(`more than ${MAX_VALUES} values`, path);
    let value: JsonValue;
    if (first === "{") value = this.#object(path, depth + 1);
    else if (first === "[") value = this.#array(path, depth + 1);
    else if (first === '"') value = this.#string(path);
    else if (this.#takeWord("true")) value = true;
    else if (this.#takeWord("false")) value = false;
    else if (this.#takeWord("null")) value = null;
    else value = new JsonNumber(this.#match(NUMBER) ?? this.#fail(path, "a JSON value"));
    this.#space();
    return value;
  }

  #object(path: string, depth: number): JsonObject {
    this.#enter(path, depth);
    const object: JsonObject = new Map();
    if (this.#take("}")) return object;
    do {
      const key = this.#string(path);
      if (key.length > MAX_KEY_LENGTH)
        throw new InvalidInput(`a key is longer than ${MAX_KEY_LENGTH} characters`, path);
      const place = pointer(path, key);
      if (object.has(key)) throw new InvalidInput("duplicate key", place);
      this.#space();
      this.#expect(":", place);
      object.set(key, this.#value(place, depth));
    } while (this.#take(","));
    this.#expect("}", path, false);
    return object;
  }

  #array(path: string, depth: number): JsonValue[] {
    this.#enter(path, depth);
    const array: JsonValue[] = [];
    if (this.#take("]")) return array;
    do array.push(this.#value(pointer(path, array.length), depth));
    while (this.#take(","));
    this.#expect("]", path, false);
    return array;
  }

  #string(path: string): string {
    const { text } = this;
    const start = this.#at;
    if (text.charCodeAt(start) !== QUOTE) this.#fail(path, "a string");
    let escaped = false;
    // By hand: one regular expression for it all gives up on long strings, at another length in each runtime.
    for (let at = start + 1; ; ) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return escaped ? (JSON.parse(text.slice(start, at + 1)) as string) : text.slice(start + 1, at);
      }
      if (code === BACKSLASH) {
        escaped = true;
        ESCAPE.lastIndex = at;
        if (!ESCAPE.test(text)) this.#fail(path, "a string");
        at = ESCAPE.lastIndex;
      } else if (code >= FIRST_PRINTABLE) at++;
      else this.#fail(path, "a string"); // a control character, or the end of the text
    }
  }

  #enter(path: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new InvalidInput(`nested deeper than ${MAX_DEPTH} levels`, path);
    this.#at++;
    this.#space();
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    if (character === ",") this.#space();
    return true;
  }

  #expect(character: string, path: string, spaceAfter = true): void {
    if (this.text[this.#at] !== character) this.#fail(path, `"${character}"`);
    this.#at++;
    if (spaceAfter) this.#space();
  }

  #takeWord(word: string): boolean {
    if (!this.text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #fail(path: string, expected: string): never {
    const found = this.#at < this.text.length ? "something else" : "the end of the text";
    throw new InvalidInput(
      `not valid JSON: expected ${expected} at character ${this.#at}, found ${found}`,
      path,
    );
  }
}
