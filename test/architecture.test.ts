/** The rooms of src/ and who may import whom; what domain/ may not know, and clients neither. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const SRC = join(import.meta.dir, "..", "src");
const CLIENT = join(import.meta.dir, "..", "clients", "typescript", "src");

/** What each room may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  batching: [],
  ports: ["domain", "batching"],
  wire: ["domain"],
  engine: ["domain", "ports", "batching", "wire"],
  queue: ["domain", "ports", "batching", "wire"],
  eventlog: ["domain", "ports", "batching", "wire"],
  gateway: ["domain", "ports", "batching", "wire"],
  link: ["domain", "ports", "batching", "wire"],
  keys: ["domain", "ports", "batching", "wire"],
  followers: ["domain", "ports", "eventlog", "runtime"],
  metrics: ["ports"],
  runtime: ["ports"],
  "config.ts": ["domain", "ports"],
};
/** A feature is one folder; besides these it imports only what FEATURES names for it. */
const FEATURES_MAY_IMPORT = ["domain", "ports", "eventlog", "followers"];
const FEATURES: Readonly<Record<string, readonly string[]>> = {
  snapshots: ["engine"],
  seals: ["runtime"],
  postgres: ["batching", "wire", "queue", "runtime", "config.ts"],
};
/** Wiring: only it may import a feature. */
const WIRING = ["main.ts", "node", "cli"];

const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".ts"),
);

function importsOf(path: string): string[] {
  const text = readFileSync(join(SRC, path), "utf8");
  return [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"([^"]+)"/g)].map((match) => match[1] as string);
}

function roomOf(path: string): string {
  return path.split("/")[0] as string;
}

test("rooms import only the rooms that they may", () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const room = roomOf(path);
    if (WIRING.includes(room)) continue;
    const feature = FEATURES[room];
    const allowed = feature ? [...FEATURES_MAY_IMPORT, ...feature] : MAY_IMPORT[room];
    if (!allowed) {
      wrong.push(`${path}: the room ${room} is not in the table`);
      continue;
    }
    for (const name of importsOf(path)) {
      if (!name.startsWith(".")) continue;
      const target = normalize(relative(SRC, join(SRC, dirname(path), name)));
      if (target.startsWith("../build/")) continue;
      const targetRoom = roomOf(target);
      if (targetRoom !== room && !allowed.includes(targetRoom)) wrong.push(`${path} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("domain imports nothing of the platform, and wire only its checksum", () => {
  const foreign = (room: string) =>
    sources
      .filter((path) => roomOf(path) === room)
      .flatMap((path) => importsOf(path).filter((name) => !name.startsWith(".")));
  expect(foreign("domain")).toEqual([]);
  expect(new Set(foreign("wire"))).toEqual(new Set(["node:zlib"]));
});

test("domain has no clock, no randomness, no waiting and no platform", () => {
  const forbidden =
    /\b(Date|Math\.random|crypto|process|Bun|Deno|await|async|console|setTimeout|performance)\b/;
  const wrong: string[] = [];
  for (const path of sources.filter((source) => roomOf(source) === "domain")) {
    const code = readFileSync(join(SRC, path), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    for (const line of code.split("\n")) if (forbidden.test(line)) wrong.push(`${path}: ${line.trim()}`);
  }
  expect(wrong).toEqual([]);
});

test("what only Bun or only Deno has is named in runtime/ alone", () => {
  const wrong = sources.filter((path) => {
    const text = readFileSync(join(SRC, path), "utf8");
    return roomOf(path) !== "runtime" && /\bBun\.|"bun:|\bDeno\./.test(text);
  });
  expect(wrong).toEqual([]);
});

test("random UUIDs have one source, and the package uuid makes those of version 7", () => {
  const wrong = sources.filter((path) => {
    const text = readFileSync(join(SRC, path), "utf8");
    const fromPackage = /import \{([^}]*)\} from "uuid"/.exec(text)?.[1]?.trim() ?? "v7";
    return fromPackage !== "v7" || /\brandomUUID\b/.test(text.replaceAll("crypto.randomUUID()", ""));
  });
  expect(wrong).toEqual([]);
});

test("ports/ holds interfaces and values: no code but how a position is written, and an error", () => {
  const code = sources.filter(
    (path) =>
      roomOf(path) === "ports" &&
      /\bfunction\b|=>[^;]*\{\n|\bclass \w+ (?!extends Error\b)/.test(
        readFileSync(join(SRC, path), "utf8").replace(/\/\*[\s\S]*?\*\//g, ""),
      ),
  );
  expect(code).toEqual(["ports/log-position.ts"]);
});

test("threads are started in one place, which hears how they end", () => {
  const starts = sources.filter((path) => /\bnew Worker\(/.test(readFileSync(join(SRC, path), "utf8")));
  expect(starts).toEqual(["runtime/thread.ts"]);
});

test("the TypeScript client stands on the web's interfaces and itself alone", () => {
  const wrong: string[] = [];
  for (const path of readdirSync(CLIENT)) {
    const text = readFileSync(join(CLIENT, path), "utf8");
    for (const [, name] of text.matchAll(/\bfrom "([^"]+)"/g))
      if (!/^\.\/[a-z-]+\.ts$/.test(name as string)) wrong.push(`${path} imports ${name}`);
    if (/\b(Bun|Deno|process|Buffer|setImmediate|require)\b/.test(text.replace(/\/\*[\s\S]*?\*\//g, "")))
      wrong.push(`${path} names a platform`);
  }
  expect(wrong).toEqual([]);
});

test("benchmarks and load import nothing of the tests: what they share is in tools/harness/", () => {
  const wrong: string[] = [];
  for (const folder of ["bench", "k6", "tools/harness"])
    for (const name of readdirSync(join(SRC, "..", folder)).filter((name) => name.endsWith(".ts"))) {
      const text = readFileSync(join(SRC, "..", folder, name), "utf8");
      for (const [, from] of text.matchAll(/\bfrom "(\.[^"]+)"/g))
        if (normalize(join(folder, from as string)).startsWith("test/"))
          wrong.push(`${folder}/${name} imports ${from}`);
    }
  expect(wrong).toEqual([]);
});
