/** Which parts `make test TEST=…` sets up. */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { filesOf, partsOf } from "./parts.ts";

const ROOT = join(import.meta.dir, "..");

function partsFor(...filters: string[]): readonly string[] {
  const files = filesOf(filters);
  expect(files.length).toBeGreaterThan(0);
  return partsOf(files);
}

test("tests of rooms without real parts need none", () => {
  for (const room of ["domain", "wire", "eventlog", "batching", "simulation", "golden"])
    expect(partsFor(`test/${room}/`)).toEqual([]);
});

test("what a test imports of the harness says what it needs, also by the files between", () => {
  expect(partsFor("e2e/proxies")).toEqual(["build/coffer", "build/tools/nats-server", "proxies"]);
  expect(partsFor("crash/postgres-leader")).toContain("postgres");
  expect(partsFor("acceptance/ac1")).toEqual(["build/coffer", "build/tools/k6"]);
});

test("schemathesis and the generators are for their own tests alone", () => {
  const others = filesOf([""]).filter((file) => !/schemathesis|generated-clients/.test(file));
  expect(partsOf(others).filter((part) => /schemathesis|generated/.test(part))).toEqual([]);
  expect(partsFor("schemathesis", "generated-clients").length).toBe(4);
});

test("make knows each part, and sets up no more for a test that needs one", () => {
  const parts = partsOf(filesOf([""]));
  expect(parts.length).toBeGreaterThan(7);
  for (const part of parts) {
    const { status, stdout, stderr } = spawnSync("make", ["-n", "-W", "package.json", "TEST=some", part], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect([stderr, status]).toEqual(["", 0]);
    if (!part.includes("schemathesis")) expect(stdout).not.toContain("pip install schemathesis");
  }
});
