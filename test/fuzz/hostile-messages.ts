/** Messages that nobody should send: frames and JSON, damaged, resealed, oversized, or lying about themselves. */

import { crc32 } from "node:zlib";
import type { Command } from "../../src/domain/commands/commands.ts";
import { foreign, frame, json } from "../support/command-streams.ts";
import { deposit, id, openAccount, openLedger, transfer, withdraw } from "../support/ledger-specs.ts";

export type Draw = (below: number) => number;

// Offsets of docs/frames.md.
const VERSION_AT = 2;
const COUNT_AT = 28;
const CRC_AT = 32;
const FIRST_COMMAND_AT = 36;
const LENGTHS_AT = FIRST_COMMAND_AT + 1;
const AMOUNT_AT = FIRST_COMMAND_AT + 20;
const NAMES_AT = FIRST_COMMAND_AT + 28;

const LINE = `{"seq":2,"type":"MoneyCredited","transaction_id":"${id(1)}","account":"forged","amount":9}`;

/** Text that breaks whoever does not escape it, or believes it. */
export const HOSTILE_TEXTS: readonly string[] = [
  "",
  "\n",
  "a\nb",
  "a\r\nb",
  `"}\n${LINE}\n{"x":"`,
  LINE,
  `x",${LINE.slice(1)}`,
  '"',
  "\\",
  '\\"',
  "\\n",
  "\\u000a",
  "\u0000",
  "a\u0000b",
  "\u001b[2J\u001b]0;x\u0007",
  "\u2028",
  "\u2029",
  "\u0085",
  "\ufeffa",
  "\u202ea",
  "\ud800",
  "аlice",
  "ａlice",
  "🪙",
  "@world",
  "@anything",
  "__proto__",
  "constructor",
  "../../etc/passwd",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what template engines would take for theirs
  "${7*7}{{7*7}}%s%n%d",
  "$(id)`id`",
  "'; DROP TABLE account_balances; --",
  "a".repeat(65),
  "a".repeat(5_000),
];

const NUMBERS = [
  "0",
  "-1",
  "-0",
  "1.0",
  "1e3",
  "1e400",
  "9223372036854775808",
  "18446744073709551617",
  "9".repeat(400),
  `0.${"0".repeat(300)}1`,
  "NaN",
  "Infinity",
  "0x10",
  "01",
  "true",
  "null",
  "[]",
  "{}",
];

const FIELDS = ["transaction_id", "from_account", "to_account", "amount", "currency"] as const;

/** A transfer between accounts that exist or do not; now and then to the account that pays. */
function someTransfer(draw: Draw) {
  return transfer(`account-${draw(10)}`, `account-${draw(10)}`, 1 + draw(50), { id: id(draw(2_000)) });
}

/** The same as JSON clients send it: the amount as a number, or as digits. */
function someRequest(draw: Draw) {
  const request = foreign(someTransfer(draw));
  return draw(2) === 0 ? request : { ...request, amount: Number(request.amount) };
}

function someCommand(draw: Draw): Command {
  const more = { id: id(draw(2_000)) };
  const kind = draw(6);
  if (kind === 0) return openAccount(`account-${draw(10)}`, draw(100), more);
  if (kind === 1) return deposit(`account-${draw(10)}`, 1 + draw(100), more);
  if (kind === 2) return withdraw(`account-${draw(10)}`, 1 + draw(100), more);
  if (kind === 3) return openLedger({ strict: draw(2) === 0 });
  return someTransfer(draw);
}

function someFrame(draw: Draw): Buffer {
  const commands = Array.from({ length: 1 + draw(4) }, () => someCommand(draw));
  return Buffer.from(frame(commands, 1 + draw(1_000), 1 + draw(200)));
}

/** The frame with the crc that it should have. */
export function sealed(bytes: Buffer): Buffer {
  if (bytes.length >= FIRST_COMMAND_AT) bytes.writeUInt32LE(crcOf(bytes), CRC_AT);
  return bytes;
}

/** Whether it begins as a frame does, and is damaged. */
export function isDamagedFrame(bytes: Buffer): boolean {
  if (bytes[0] !== 0xcf || bytes[1] !== 0x46) return false;
  return bytes.length < FIRST_COMMAND_AT || bytes.readUInt32LE(CRC_AT) !== crcOf(bytes);
}

function crcOf(frame: Buffer): number {
  return crc32(frame.subarray(FIRST_COMMAND_AT), crc32(frame.subarray(0, CRC_AT)));
}

function randomBytes(length: number, draw: Draw): Buffer {
  return Buffer.from(Array.from({ length }, () => draw(256)));
}

/** A few bytes flipped, taken out, put in, doubled or cut off. */
export function mutated(bytes: Buffer, draw: Draw): Buffer {
  let changed = Buffer.from(bytes);
  for (let changes = 1 + draw(3); changes > 0; changes--) {
    const at = draw(changed.length + 1);
    const some = 1 + draw(8);
    const [before, behind] = [changed.subarray(0, at), changed.subarray(at)];
    switch (draw(5)) {
      case 0:
        if (at < changed.length) changed[at] = (changed[at] as number) ^ (1 << draw(8));
        break;
      case 1:
        changed = Buffer.concat([before, behind.subarray(some)]);
        break;
      case 2:
        changed = Buffer.concat([before, randomBytes(some, draw), behind]);
        break;
      case 3:
        changed = Buffer.concat([before, behind.subarray(0, some * 8), behind]);
        break;
      default:
        changed = Buffer.from(before);
    }
  }
  return changed;
}

function oneOf<T>(values: readonly T[], draw: Draw): T {
  return values[draw(values.length)] as T;
}

/** The JSON of a transfer, in which one field's text is another. */
function withField(field: string, value: string, draw: Draw): string {
  const fields = Object.entries(someRequest(draw))
    .filter(([, text]) => text !== undefined)
    .map(([name, text]) => `${JSON.stringify(name)}:${name === field ? value : JSON.stringify(text)}`);
  return `{${fields.join(",")}}`;
}

const FRAMES: readonly ((draw: Draw) => Buffer)[] = [
  (draw) => randomBytes(draw(300), draw),
  (draw) => Buffer.concat([Buffer.from([0xcf, 0x46]), randomBytes(draw(120), draw)]),
  (draw) => mutated(someFrame(draw), draw),
  (draw) => sealed(mutated(someFrame(draw), draw)),
  (draw) => someFrame(draw).subarray(0, draw(100)),
  (draw) => {
    const bytes = someFrame(draw);
    bytes.writeUInt32LE(oneOf([0, 2, 8_192, 8_193, 2 ** 31, 2 ** 32 - 1], draw), COUNT_AT);
    return sealed(bytes);
  },
  (draw) => {
    const bytes = someFrame(draw);
    bytes[LENGTHS_AT + draw(3)] = oneOf([0, 1, 64, 65, 127, 128, 255], draw);
    return sealed(bytes);
  },
  (draw) => {
    const bytes = someFrame(draw);
    bytes.writeBigUInt64LE(
      oneOf([0n, 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n], draw),
      AMOUNT_AT,
    );
    return sealed(bytes);
  },
  (draw) => {
    // Any bytes in the names: line ends, quotes, NULs.
    const bytes = someFrame(draw);
    bytes[NAMES_AT + draw(Math.min(16, bytes.length - NAMES_AT))] = oneOf(
      [0, 10, 13, 34, 92, 64, 0x80, 0xff],
      draw,
    );
    return sealed(bytes);
  },
  (draw) => {
    const bytes = someFrame(draw);
    bytes[draw(2) === 0 ? VERSION_AT : FIRST_COMMAND_AT] = draw(256);
    return draw(2) === 0 ? sealed(bytes) : bytes;
  },
];

const JSON_TEXTS: readonly ((draw: Draw) => Buffer)[] = [
  (draw) => mutated(Buffer.from(json(someRequest(draw))), draw),
  (draw) => Buffer.from(withField(oneOf(FIELDS, draw), JSON.stringify(oneOf(HOSTILE_TEXTS, draw)), draw)),
  // The same without escapes, and with bytes that are no UTF-8 (overlong ones too).
  (draw) => Buffer.from(withField(oneOf(FIELDS, draw), `"${oneOf(HOSTILE_TEXTS, draw)}"`, draw)),
  (draw) => {
    const bytes = Buffer.from(withField(oneOf(FIELDS, draw), '"a????"', draw));
    const bad = oneOf([[0xc0, 0x8a], [0xc1, 0xa1], [0xe0, 0x80, 0x8a], [0xed, 0xa0, 0x80], [0xff]], draw);
    bytes.set(bad, bytes.indexOf("????"));
    return bytes;
  },
  (draw) => Buffer.from(withField("amount", oneOf(NUMBERS, draw), draw)),
  (draw) => Buffer.from(withField("amount", JSON.stringify(oneOf(NUMBERS, draw)), draw)),
  (draw) => {
    const name = JSON.stringify(oneOf([...HOSTILE_TEXTS, ...FIELDS], draw));
    return Buffer.from(withField("currency", `"USD",${name}:1`, draw));
  },
  (draw) => {
    const good = () => JSON.stringify(someRequest(draw));
    const bad = withField(oneOf(FIELDS, draw), oneOf(NUMBERS, draw), draw);
    const items = Array.from({ length: 1 + draw(5) }, good);
    items.splice(draw(items.length + 1), 0, bad);
    return Buffer.from(`[${items.join(",")}]`);
  },
  (draw) => {
    const depth = oneOf([16, 17, 1_000, 20_000], draw);
    return Buffer.from(
      oneOf([`${"[".repeat(depth)}${"]".repeat(depth)}`, '{"a":'.repeat(depth), "[".repeat(depth)], draw),
    );
  },
  (draw) => Buffer.from(`[${Array.from({ length: draw(20) === 0 ? 70_000 : 8_193 }, () => "0").join(",")}]`),
  (draw) => Buffer.from(`${" ".repeat(draw(10_000))}${JSON.stringify(someRequest(draw))}`),
  (draw) => Buffer.from(JSON.stringify(someRequest(draw)), draw(2) === 0 ? "utf16le" : "utf8"),
];

export function hostileMessage(draw: Draw): Buffer {
  return oneOf(draw(2) === 0 ? FRAMES : JSON_TEXTS, draw)(draw);
}
