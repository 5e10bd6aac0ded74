/** Transaction ids: UUIDs of version 7 (RFC 9562, section 5.7), a millisecond and 74 random bits each. */

const RANDOM_BYTES = 10;
/** Random bytes are drawn for so many ids at once: a draw costs more than the rest of an id. */
const DRAWN_IDS = 256;

const drawn = new Uint8Array(DRAWN_IDS * RANDOM_BYTES);
let next = drawn.length;
let stampMs = -1;
let stamp = "";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A new transaction id, 36 characters, in lower case. */
export function newTransactionId(): string {
  const nowMs = Date.now();
  if (nowMs !== stampMs) {
    stampMs = nowMs;
    const hex = nowMs.toString(16).padStart(12, "0");
    stamp = `${hex.slice(0, 8)}-${hex.slice(8)}-`;
  }
  if (next === drawn.length) {
    crypto.getRandomValues(drawn);
    next = 0;
  }
  const version = 0x70 | (byte() & 0x0f);
  const first = byte();
  const variant = 0x80 | (byte() & 0x3f);
  return (
    `${stamp}${HEX[version]}${HEX[first]}-${HEX[variant]}${HEX[byte()]}-` +
    `${HEX[byte()]}${HEX[byte()]}${HEX[byte()]}${HEX[byte()]}${HEX[byte()]}${HEX[byte()]}`
  );
}

function byte(): number {
  return drawn[next++] as number;
}
