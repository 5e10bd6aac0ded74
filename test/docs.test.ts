/** What docs/operations.md quotes is what the program says, and ARCHITECTURE.md's table of scopes what routes ask for. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { settingsHelp } from "../src/cli/read-config.ts";
import { SETTINGS, type SettingName } from "../src/config.ts";
import { createRoutes } from "../src/gateway/routes.ts";

/** The command that HACKING.md adds. */
const EXAMPLE = "src/domain/commands/sweep.ts";
const ROOT = join(import.meta.dir, "..");
const SRC = join(ROOT, "src");
const page = readFileSync(join(ROOT, "docs", "operations.md"), "utf8");
const source = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readFileSync(join(SRC, path), "utf8"))
  .join("\n");

test("every line of the node's log", () => {
  const quoted = [...page.matchAll(/`"([^"`]+)"`/g)].map((match) => match[1] as string);
  expect(quoted.length).toBeGreaterThan(20);
  for (const message of quoted) expect(source).toContain(`"${message}"`);
});

test("every metric, and every metric stands there", () => {
  const metrics = readFileSync(join(SRC, "node", "node-metrics.ts"), "utf8");
  const there = new Set(
    [...metrics.matchAll(/"((?:coffer|process)_[a-z_]+)"/g)].map((match) => match[1] as string),
  );
  const named = [...page.matchAll(/\b(?:coffer|process)_[a-z_]*[a-z]/g)].map(([name]) =>
    name.replace(/_(bucket|sum|count)$/, ""),
  );
  expect([...new Set(named)].filter((name) => !there.has(name))).toEqual([]);
  expect([...there].filter((name) => !named.includes(name))).toEqual([]);
});

test("who may ask for which route", () => {
  const architecture = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
  const [, table] = /\| scope \| routes \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(architecture) ?? [];
  const told = (table ?? "").split("\n").flatMap((line) => {
    const [, scope, routes] = /^\| `?(\w+)`? \| (.*) \|$/.exec(line) ?? [];
    return (routes?.split(", ") ?? []).map((route) => `${scope} ${route.replaceAll("`", "")}`);
  });
  const asked = createRoutes({} as never, {} as never).map(({ path, description: { admits } }) =>
    admits === "everyone"
      ? `everyone ${path}`
      : `${admits.scope} ${path}${admits.bound ? "" : " (not bound)"}`,
  );
  expect(told.sort()).toEqual(asked.sort());
});

test("every column of balance_change_logs", () => {
  const migration = readFileSync(join(SRC, "postgres", "migrations", "002_balances.sql"), "utf8");
  const [, table] = /CREATE TABLE balance_change_logs \(\n([\s\S]*?)\n\) PARTITION/.exec(migration) ?? [];
  const columns = [...(table ?? "").matchAll(/^ {2}([a-z_]+) +(?:text|integer|bigint)/gm)].map(
    ([, name]) => name,
  );
  const [, rows] = /\| column \| what it is \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(page) ?? [];
  const told = (rows ?? "").split("\n").flatMap((row) => (row.split("|")[1] ?? "").match(/[a-z_]+/g) ?? []);
  expect(columns.length).toBeGreaterThan(10);
  expect(told).toEqual(columns as string[]);
});

test("every flag", () => {
  const flags = [...settingsHelp(Object.keys(SETTINGS) as SettingName[]).matchAll(/^ {2}--([a-z-]+)/gm)];
  const there = flags.map(([, flag]) => flag);
  for (const [, flag] of page.matchAll(/`--([a-z-]+)/g)) expect(there).toContain(flag);
});

test("every dependency, with its reason", () => {
  const listed = readFileSync(join(ROOT, "docs", "dependencies.md"), "utf8");
  const names = [packageJson.dependencies, packageJson.devDependencies].flatMap(Object.keys);
  expect(names.filter((name) => !listed.includes(`\`${name}\``))).toEqual([]);
});

test("every file that the pages for contributors name", () => {
  const missing = ["HACKING.md", "docs/testing.md", "docs/dependencies.md"].flatMap((name) => {
    const text = readFileSync(join(ROOT, name), "utf8");
    const paths = [...text.matchAll(/\b(?:src|test|tools|bench|k6|docs)\/[\w./-]*\w/g)].map(([path]) => path);
    return paths.filter((path) => path !== EXAMPLE && !existsSync(join(ROOT, path)));
  });
  expect(missing).toEqual([]);
});
