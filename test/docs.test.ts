/** The documents agree with the program, and their links with the documents. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { settingsHelp } from "../src/cli/read-config.ts";
import { SETTINGS, type SettingName } from "../src/config.ts";
import { EVENT_FIELDS, type Field } from "../src/domain/event-table.ts";
import { KIND_NUMBERS, TRANSACTION_KINDS } from "../src/domain/kinds.ts";
import { createRoutes } from "../src/gateway/routes.ts";
import { NODE_EVENTS } from "../src/ports/node-log.ts";
import { fieldsOf, OPEN_LEDGER_NUMBER } from "../src/wire/frame.ts";

/** The command that HACKING.md adds. */
const EXAMPLE = "src/domain/commands/sweep.ts";
const ROOT = join(import.meta.dir, "..");
const SRC = join(ROOT, "src");
const page = readFileSync(join(ROOT, "docs", "operations.md"), "utf8");
const source = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readFileSync(join(SRC, path), "utf8"))
  .join("\n");

test("every line of the node's log, by its event", () => {
  const quoted = new Set([...page.matchAll(/`"([^"`]+)"`/g)].map((match) => match[1] as string));
  const known: readonly string[] = NODE_EVENTS;
  expect([...quoted].filter((event) => !known.includes(event))).toEqual([]);
  expect(known.filter((event) => !quoted.has(event))).toEqual([]);
});

test("every reason for which a node is not ready", () => {
  const [, table] = /\| `detail` \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(page) ?? [];
  const quoted = (table ?? "")
    .split("\n")
    .flatMap((row) => (row.split("|")[1] ?? "").match(/[^`]{9,}/g) ?? []);
  expect(quoted.length).toBeGreaterThan(7);
  // What a template puts in is a capital letter in the page.
  const texts = source.replace(/\$\{[^}]*\}/g, "?");
  expect(quoted.filter((reason) => !texts.includes(reason.replace(/\b[A-Z]\b/g, "?")))).toEqual([]);
});

test("every metric, and no other", () => {
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
  const written = rowsOf("docs/http.md", "scope").flatMap(([scope, routes]) =>
    (routes as string).split(", ").map((route) => `${scope} ${route}`.replaceAll("`", "")),
  );
  const asked = createRoutes({} as never, {} as never).map(({ path, description: { admits } }) =>
    admits === "everyone"
      ? `everyone ${path}`
      : `${admits.scope} ${path}${admits.bound ? "" : " (not bound)"}`,
  );
  expect(written.sort()).toEqual(asked.sort());
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

test("every type of event, and its fields in their order", () => {
  const written = rowsOf("docs/log-format.md", "type").map(([type, fields]) => `${type}: ${fields}`);
  const there = Object.entries(EVENT_FIELDS).map(
    ([type, fields]) => `\`${type}\`: ${fields.map((field) => `\`${nameOf(field)}\``).join(", ")}`,
  );
  expect(written).toEqual(there);
});

test("every kind of command in a frame, and its fields in their order and shapes", () => {
  const written = rowsOf("docs/frames.md", "kind").map((cells) => cells.join(" "));
  const there = (["open_ledger", ...TRANSACTION_KINDS] as const).map((kind) => {
    const fields = fieldsOf(kind).map((field) => `\`${nameOf(field)}\` ${field[1].shape}`);
    const number = kind === "open_ledger" ? OPEN_LEDGER_NUMBER : KIND_NUMBERS[kind];
    return `${number} \`${kind}\` ${fields.join(", ")}`;
  });
  expect(written).toEqual(there);
});

test("ARCHITECTURE.md has at most 1,500 words", () => {
  const words = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8").trim().split(/\s+/);
  expect(words.length).toBeLessThanOrEqual(1_500);
});

test("every relative link leads to a file, and to a heading that is in it", () => {
  const pages = pagesBelow(ROOT);
  expect(pages.length).toBeGreaterThan(10);
  const broken = pages.flatMap((path) =>
    linksOf(path)
      .filter((link) => !leadsSomewhere(path, link))
      .map((link) => `${relative(ROOT, path)}: ${link}`),
  );
  expect(broken).toEqual([]);
});

/** The cells of a table's rows; its first heading is `first`, and no other table of the page begins so. */
function rowsOf(path: string, first: string): string[][] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const tables = [...text.matchAll(new RegExp(`^\\| ${first} \\|.*\\n\\|[-|]+\\n((?:\\|.*\\n)+)`, "gm"))];
  expect(tables.length).toBe(1);
  const rows = (tables[0]?.[1] ?? "").trim().split("\n");
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

function nameOf([name, type]: Field): string {
  return type.omitsDefault ? `${name}?` : name;
}

/** Every page of ours: what is installed or built is not. */
function pagesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".") || ["node_modules", "build", "dist", "data"].includes(entry.name))
      return [];
    if (entry.isDirectory()) return pagesBelow(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

function linksOf(path: string): string[] {
  return [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link as string)
    .filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [file, anchor] = link.split("#") as [string, string | undefined];
  const target = file === "" ? page : join(dirname(page), file);
  return existsSync(target) && (anchor === undefined || anchorsOf(target).has(anchor));
}

/** The anchors that GitHub gives to a page's headings. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of proseOf(path).matchAll(/^#+ (.+)$/gm)) {
    const anchor = (heading as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    let unique = anchor;
    for (let copy = 1; anchors.has(unique); copy++) unique = `${anchor}-${copy}`;
    anchors.add(unique);
  }
  return anchors;
}

function proseOf(path: string): string {
  return readFileSync(path, "utf8").replace(/^```.*\n[\s\S]*?^```$/gm, "");
}
