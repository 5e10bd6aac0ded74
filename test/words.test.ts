/**
 * What the program says uses the usual words of the field: problems, --help, log lines, HELP of metrics, errors, the
 * OpenAPI document. docs.test.ts checks the documents.
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../src/cli/cli.ts";
import { openApiText } from "../tools/harness/openapi.ts";

const ROOT = join(import.meta.dir, "..");
const SRC = join(ROOT, "src");

/** Wrong in a message, each with what to say instead. */
const PATTERNS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(?:told|tells?)\b/i, "report, notify, return"],
  [/\banew\b/i, "again, recreate"],
  [/\bwhoever\b/i, "a client, anyone who"],
  [/\b(?:lets?|letting) (?:\w+ )?in\b/i, "admit, authorize"],
  [/\bshort way\b/i, "fast path"],
  [/\boutside (?:a |an |the )?NATS\b/i, "external NATS"],
  [/\bmend(?:s|ed|ing)?\b/i, "fix"],
  [/\b(?:leads|is there|waits) no more\b/i, "lost leadership, does not exist, is done"],
  [/\bnobody\b/i, "no client, no one"],
  [/\bstands?\b/i, "is, is stored"],
  [/\bbehind\b/i, "after"],
  [/\bwhere\b/i, "if, when"],
  [/(?:^|[.;:] )who\b/i, "a client, anyone who"],
  [/\bdoor\b/i, "auth"],
  [/\bis (?:not )?there\b/i, "exists, does not exist"],
  [/\bpassed over\b/i, "skipped"],
];

/** What is wrong with a text, each with what it should say instead. */
function wrongIn(text: string): string[] {
  return PATTERNS.flatMap(([pattern, instead]) => {
    const found = new RegExp(`.{0,40}(?:${pattern.source}).{0,40}`, pattern.flags).exec(text);
    return found ? [`"${found[0].trim()}" (${instead})`] : [];
  });
}

/** The texts of several words in a program, without its comments and without what its templates put in. */
function messagesOf(path: string): string[] {
  const code = new Bun.Transpiler({ loader: "ts" }).transformSync(readFileSync(path, "utf8"));
  return [...code.matchAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g)]
    .map(([text]) => text.slice(1, -1).replace(/\$\{[^}]*\}/g, "…"))
    .filter((text) => /\S \S/.test(text));
}

const programs = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".ts"),
);

test("the texts of a program are found, its comments are not", () => {
  const texts = messagesOf(join(SRC, "gateway", "problems.ts"));
  expect(texts).toContain("Not found");
  expect(texts).toContain("The server is overloaded");
  expect(texts.join()).not.toContain("RFC 9457");
  expect(programs.flatMap((path) => messagesOf(join(SRC, path))).length).toBeGreaterThan(500);
});

test("a text that says it the old way is found", () => {
  expect(wrongIn("the queue is made anew")).toEqual(['"the queue is made anew" (again, recreate)']);
  expect(wrongIn("the server does not let us in")).toHaveLength(1);
  expect(wrongIn("commands behind which a snapshot is taken")).toHaveLength(1);
  expect(wrongIn("a short pause on the way out of a standby")).toEqual([]);
});

test("problems, log lines, metrics and errors", () => {
  const wrong = programs.flatMap((path) =>
    messagesOf(join(SRC, path))
      .flatMap((text) => wrongIn(text))
      .map((text) => `${path}: ${text}`),
  );
  expect(wrong).toEqual([]);
});

test("--help of every command", async () => {
  const said: string[] = [];
  const log = console.log;
  console.log = (text: string) => void said.push(text);
  try {
    await runCli(["--help"], {}, {} as never);
    const names = [...(said[0] ?? "").matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name as string);
    expect(names).toContain("serve");
    for (const name of names) await runCli([name, "--help"], {}, {} as never);
    expect(said).toHaveLength(names.length + 1);
  } finally {
    console.log = log;
  }
  expect(said.flatMap((text) => wrongIn(text))).toEqual([]);
});

test("the OpenAPI document", async () => {
  const texts: string[] = [];
  JSON.parse(await openApiText(), (key, value) => {
    if (key === "description" || key === "summary" || key === "title") texts.push(String(value));
    return value;
  });
  expect(texts.length).toBeGreaterThan(100);
  expect(texts.flatMap((text) => wrongIn(text))).toEqual([]);
});
