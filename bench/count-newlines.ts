/** What a replay is measured against: reads a file and finds each newline, `bun bench/count-newlines.ts FILE`. */

import { openSync, readSync } from "node:fs";
import process from "node:process";

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;

const begin = performance.now();
const file = openSync(process.argv[2] as string, "r");
const chunk = new Uint8Array(CHUNK_BYTES);
let newlines = 0;
for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
  const part = chunk.subarray(0, length);
  for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, at + 1)) newlines++;
}
console.log(JSON.stringify({ newlines, seconds: (performance.now() - begin) / 1_000 }));
