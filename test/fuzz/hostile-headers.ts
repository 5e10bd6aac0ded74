/** Header blocks and reply subjects that no client library sends, and that nats-server takes. */

type Draw = (below: number) => number;

const STATUS = [
  "NATS/1.0",
  "NATS/1.0",
  "NATS/1.0 100 Idle Heartbeat",
  "NATS/1.0 100 FlowControl Request",
  "NATS/1.0 503",
  "NATS/1.0 404 No Messages",
  "NATS/1.0 -1",
  "NATS/1.0 1e9 x",
  "NATS/1.0100",
  "NATS/9.9 100",
  "100 Idle Heartbeat",
  "100 NATS/1.0",
  "503",
  "",
  " ",
];
/** Those that the client library, the server or coffer knows, and some that nobody does. */
const NAMES = [
  "A",
  "Nats-Consumer-Stalled",
  "Nats-Last-Consumer",
  "Nats-Last-Stream",
  "Nats-Msg-Id",
  "Nats-Expected-Last-Sequence",
  "Nats-Expected-Stream",
  "Nats-Rollup",
  "Nats-TTL",
  "Nats-Schedule",
  "Nats-Incr",
  "Nats-Batch-Id",
  "Nats-Num-Pending",
  "Nats-Sequence",
  "Nats-Stream",
  "Nats-Request-Info",
  "Nats-Trace-Dest",
  "KV-Operation",
  "Coffer-Status",
  "Status",
  "",
];
const VALUES = [
  "",
  "x",
  "100",
  "0",
  "all",
  "sub",
  "coffer.commands.0",
  "$JS.FC.x.y.z",
  "PURGE",
  "{",
  "@every 1s",
  "NATS/1.0 100",
];
const ENDS = ["\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\r\n", "", "\n\n", "\r\n\r\n\r\n", "\r"];
const REPLIES = [
  "$JS.API.STREAM.PURGE.COFFER_COMMANDS",
  "$JS.API.STREAM.DELETE.COFFER_COMMANDS",
  "$JS.API.STREAM.MSG.DELETE.COFFER_COMMANDS",
  "$JS.ACK.COFFER_COMMANDS.x.1.1.1.1795255601896000000.0",
  "$JS.FC.COFFER_COMMANDS.x.y",
  "$KV.COFFER_NODES.nobody",
  "coffer.commands.0",
  "coffer.positions",
  "coffer.transfer",
  "_INBOX.nobody",
  "a..b",
  ".",
  ">",
  "*.x",
  "\u0001",
  "é",
];

function any<T>(draw: Draw, of: readonly T[]): T {
  return of[draw(of.length)] as T;
}

/** Bytes but those that end a line or separate words on NATS's own lines. */
function bytes(draw: Draw, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(draw(256))).join("");
}

/** A header block, in latin1. Some of them have a name with a blank, a control character or a letter beyond ASCII. */
export function hostileHead(draw: Draw): Buffer {
  if (draw(12) === 0) return Buffer.from(bytes(draw, 1 + draw(60)), "latin1");
  const lines = [any(draw, STATUS)];
  for (let count = draw(5); count > 0; count--) {
    const name = draw(3) === 0 ? bytes(draw, 1 + draw(12)) : any(draw, NAMES);
    const separator = any(draw, [": ", ":", "", " : ", "\t:"]);
    const value = draw(8) === 0 ? bytes(draw, draw(40)) : any(draw, VALUES);
    lines.push(`${name}${separator}${draw(60) === 0 ? value + "v".repeat(draw(70_000)) : value}`);
  }
  return Buffer.from(lines.join(any(draw, ["\r\n", "\r\n", "\r\n", "\n", "\r"])) + any(draw, ENDS), "latin1");
}

/** A reply subject; undefined for none. */
export function hostileReply(draw: Draw): string | undefined {
  return draw(3) === 0 ? undefined : any(draw, REPLIES);
}
