/**
 * What a replay is measured against, `bun bench/count-newlines.ts FILE`: the lines of a file are counted one by
 * one, as a program does that reads lines; and its newlines are found in chunks, with nothing made of the lines.
 */

import { createReadStream, openSync, readSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;

const path = process.argv[2] as string;
let begin = performance.now();
let lines = 0;
for await (const _line of createInterface({ input: createReadStream(path, { highWaterMark: CHUNK_BYTES }) }))
  lines++;
const lineSeconds = (performance.now() - begin) / 1_000;

begin = performance.now();
const file = openSync(path, "r");
const chunk = new Uint8Array(CHUNK_BYTES);
let newlines = 0;
for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
  const part = chunk.subarray(0, length);
  for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, at + 1)) newlines++;
}
if (lines !== newlines) throw new Error(`${lines} lines, but ${newlines} newlines`);
console.log(JSON.stringify({ lines, lineSeconds, scanSeconds: (performance.now() - begin) / 1_000 }));
