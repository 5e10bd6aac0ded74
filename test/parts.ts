/**
 * What tests need besides node_modules, by what they import: `bun test/parts.ts FILTER …` prints the targets of make
 * that `make test TEST=…` has to set up for the test files whose path has one of the filters.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import process from "node:process";

const ROOT = join(import.meta.dir, "..");

/** The target that a file, or a folder, stands for. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  "tools/harness/coffer.ts": ["build/coffer"],
  "tools/harness/nats.ts": ["build/tools/nats-server"],
  "tools/harness/postgres.ts": ["postgres"],
  "test/e2e/executable.test.ts": ["build/coffer"],
  "test/fuzz/schemathesis.test.ts": ["build/schemathesis/.installed"],
  "test/generated-clients/": [
    "build/generated-clients/typescript/.installed",
    "build/generated-clients/python/.installed",
  ],
  "test/queue/embedded-server.test.ts": ["build/tools/coffer-nats"],
  "test/queue/outside-auth.test.ts": ["build/tools/nats-server"],
  "test/support/nats-cluster.ts": ["build/tools/nats-server"],
  "test/support/proxies.ts": ["proxies"],
  "src/runtime/bun.ts": ["build/tools/coffer-nats"],
  "k6/run.ts": ["build/tools/k6"],
};

/** The test files whose path has one of the filters. */
export function filesOf(filters: readonly string[]): readonly string[] {
  return readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join("test", file))
    .filter((file) => filters.some((filter) => file.includes(filter)))
    .sort();
}

/** The targets that these files need, with all that they import. */
export function partsOf(files: readonly string[]): readonly string[] {
  const reached = new Set(files);
  for (const file of reached) for (const imported of importsOf(file)) reached.add(imported);
  const needed = [...reached].flatMap((file) =>
    Object.entries(PARTS).flatMap(([path, targets]) => (file.startsWith(path) ? targets : [])),
  );
  return [...new Set(needed)].sort();
}

function importsOf(file: string): string[] {
  if (!file.endsWith(".ts")) return [];
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"(\.[^"]+)"/g)]
    .map(([, name]) => relative(ROOT, join(ROOT, dirname(file), name as string)))
    .filter((path) => existsSync(join(ROOT, path)));
}

if (import.meta.main) console.log(partsOf(filesOf(process.argv.slice(2))).join("\n"));
