/** What the documents say is what the program does: metrics, events, flags, tables, links, paths, words. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { settingsHelp } from "../src/cli/read-config.ts";
import { SETTINGS, type SettingName } from "../src/config.ts";
import { EVENT_FIELDS } from "../src/domain/event-table.ts";
import { KIND_NUMBERS } from "../src/domain/kinds.ts";
import { createRoutes } from "../src/gateway/routes.ts";
import { NODE_EVENTS } from "../src/ports/node-log.ts";
import { FRAME_VERSION, fieldsOf, OPEN_LEDGER_NUMBER } from "../src/wire/frame.ts";

const ROOT = join(import.meta.dir, "..");
const SRC = join(ROOT, "src");
const ARCHITECTURE_WORDS = 1_500;
const COLUMNS = 100;

const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "HACKING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "clients/typescript/README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** The rows below this head of a table, each as its cells. */
function tableOf(path: string, head: string): readonly (readonly string[])[] {
  const lines = read(path).split("\n");
  const at = lines.indexOf(head);
  if (at < 0) throw new Error(`${path} has no table ${head}`);
  const end = lines.findIndex((line, index) => index > at && !line.startsWith("|"));
  return lines.slice(at + 2, end < 0 ? undefined : end).map(cellsOf);
}

function cellsOf(row: string): readonly string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Codes in backticks. */
function codes(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string);
}

/** A page without its blocks of code. */
function proseOf(path: string): string {
  return read(path).replace(/^ *```[\s\S]*?^ *```$/gm, "");
}

describe("docs/operations.md has", () => {
  const page = read("docs/operations.md");

  test("every event of the node's log, and no others", () => {
    const rows = tableOf("docs/operations.md", "| `event` | meaning |");
    expect(rows.flatMap(([events = ""]) => codes(events)).sort()).toEqual([...NODE_EVENTS].sort());
  });

  test("every metric, and no others", () => {
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

  test("codes that the program has", () => {
    const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
      .filter((path) => /\.(ts|sql)$/.test(path))
      .map((path) => readFileSync(join(SRC, path), "utf8"))
      .join("\n");
    const named = codes(proseOf("docs/operations.md")).filter((code) => /^[a-z]+(_[a-z]+)+$/.test(code));
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((code) => !new RegExp(`\\b${code}\\b`).test(sources))).toEqual([]);
  });

  test("flags that there are", () => {
    const flags = [...settingsHelp(Object.keys(SETTINGS) as SettingName[]).matchAll(/^ {2}--([a-z-]+)/gm)];
    const there = flags.map(([, flag]) => flag);
    for (const [, flag] of page.matchAll(/`--([a-z-]+)/g)) expect(there).toContain(flag);
  });

  test("every column of balance_change_logs", () => {
    const migration = readFileSync(join(SRC, "postgres", "migrations", "002_balances.sql"), "utf8");
    const [, table] = /CREATE TABLE balance_change_logs \(\n([\s\S]*?)\n\) PARTITION/.exec(migration) ?? [];
    const columns = [...(table ?? "").matchAll(/^ {2}([a-z_]+) +(?:text|integer|bigint)/gm)].map(
      ([, name]) => name as string,
    );
    const rows = tableOf("docs/operations.md", "| column | what it is |");
    expect(columns.length).toBeGreaterThan(10);
    expect(rows.flatMap(([names = ""]) => codes(names))).toEqual(columns);
  });
});

test("docs/http.md has who may call which route", () => {
  const documented = tableOf("docs/http.md", "| scope | routes |").flatMap(([scope = "", routes = ""]) =>
    routes.split(", ").map((route) => `${scope} ${route}`.replaceAll("`", "")),
  );
  const declared = createRoutes({} as never, {} as never).map(({ path, description: { admits } }) =>
    admits === "everyone"
      ? `everyone ${path}`
      : `${admits.scope} ${path}${admits.bound ? "" : " (not bound)"}`,
  );
  expect(documented.sort()).toEqual(declared.sort());
});

test("docs/log-format.md has each type of event, with its fields in their order", () => {
  const rows = tableOf(
    "docs/log-format.md",
    "| type | fields, in this order, after `seq` and `type` | effect |",
  );
  const documented = rows.map(([type = "", fields = ""]) => [codes(type)[0], codes(fields)]);
  const declared = Object.entries(EVENT_FIELDS).map(([type, fields]) => [
    type,
    fields.map(([name, { omitsDefault }]) => (omitsDefault ? `${name}?` : name)),
  ]);
  expect(documented).toEqual(declared);
});

test("docs/frames.md has the version, and each kind of command with its fields in their order", () => {
  expect(read("docs/frames.md")).toContain(`| 2 | version, ${FRAME_VERSION} |`);
  const kinds = [["open_ledger", OPEN_LEDGER_NUMBER], ...Object.entries(KIND_NUMBERS)] as const;
  const declared = kinds.map(([kind, number]) => [
    String(number),
    `\`${kind}\``,
    fieldsOf(kind as keyof typeof KIND_NUMBERS)
      .map(([name, { shape }]) => `\`${name}\` ${shape}`)
      .join(", "),
  ]);
  expect(tableOf("docs/frames.md", "| number | kind | fields, in this order |")).toEqual(declared);
});

test("docs/dependencies.md has every package", () => {
  const { dependencies, devDependencies } = JSON.parse(read("package.json"));
  const page = read("docs/dependencies.md");
  for (const name of Object.keys({ ...dependencies, ...devDependencies }))
    if (!name.startsWith("@types/")) expect(page).toContain(`\`${name}\``);
});

test(`ARCHITECTURE.md has at most ${ARCHITECTURE_WORDS} words`, () => {
  expect(read("ARCHITECTURE.md").split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(ARCHITECTURE_WORDS);
});

test("docs/README.md lists every page", () => {
  const page = read("docs/README.md");
  for (const path of PAGES.filter((path) => path.startsWith("docs/") && path !== "docs/README.md"))
    expect(page).toContain(`](${path.slice("docs/".length)})`);
});

describe.each(PAGES)("%s", (path) => {
  test("has links that lead somewhere, to the heading", () => {
    const wrong: string[] = [];
    for (const [, link = ""] of proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : relative(ROOT, join(ROOT, dirname(path), file));
      if (!existsSync(join(ROOT, target))) wrong.push(link);
      else if (anchor !== undefined && !anchorsOf(target).has(anchor)) wrong.push(link);
    }
    expect(wrong).toEqual([]);
  });

  test("names files that there are", () => {
    const named = codes(proseOf(path)).filter((code) =>
      /^(src|test|tools|bench|k6|clients|docs)\/[\w./-]*$/.test(code),
    );
    expect(named.filter((code) => !existsSync(join(ROOT, code)))).toEqual([]);
  });

  test(`has lines of at most ${COLUMNS} columns, but for tables and code`, () => {
    const long = proseOf(path)
      .split("\n")
      .filter((line) => line.length > COLUMNS && !/^(\||!\[)|^\S+$/.test(line.trimStart()));
    expect(long).toEqual([]);
  });

  test("is written in the field's words", () => {
    const others =
      /\b(told|tells?|anew|whoever|mend(s|ed)?|outside NATS|lets? in|let us in|short way|doors?)\b/gi;
    expect(proseOf(path).match(others) ?? []).toEqual([]);
  });
});

test("what code and tests name of the documents is there", () => {
  const wrong: string[] = [];
  for (const folder of ["src", "test", "bench", "k6", "tools/harness", "clients/typescript/src"])
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })) {
      if (!/\.(ts|py|sql)$/.test(name)) continue;
      const text = read(join(folder, name));
      for (const [link, file = "", anchor] of text.matchAll(
        /\b(ARCHITECTURE\.md|HACKING\.md|docs\/[a-z-]+\.md)(?:#([a-z0-9-]+))?/g,
      ))
        if (!existsSync(join(ROOT, file)) || (anchor !== undefined && !anchorsOf(file).has(anchor)))
          wrong.push(`${folder}/${name}: ${link}`);
    }
  expect(wrong).toEqual([]);
});

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
