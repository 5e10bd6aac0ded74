/** The file that holds a node's name, and the folders that a first start makes. */

import { expect, mock, test } from "bun:test";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";

/** Syncs and renames, in their order. */
const done: string[] = [];
const real = { ...fs };
mock.module("node:fs", () => ({
  ...real,
  fsyncSync(fd: number) {
    done.push(`sync ${real.readlinkSync(`/proc/self/fd/${fd}`)}`);
    real.fsyncSync(fd);
  },
  renameSync(from: string, to: string) {
    done.push(`rename ${to}`);
    real.renameSync(from, to);
  },
}));
const { makeFolder, nodeName } = await import("../../src/node/data-folder.ts");

test("the parent of each folder that is made is synced; of one that was there none is", () => {
  const top = fs.realpathSync(temporaryFolder());
  const data = join(top, "a", "b", "data");
  done.length = 0;
  makeFolder(data);
  expect(done.sort()).toEqual([top, join(top, "a"), join(top, "a", "b")].map((path) => `sync ${path}`));
  makeFolder(data);
  makeFolder(dirname(data));
  expect(done).toHaveLength(3);
});

test("a name is on disk before it is in its place, and that before it is used; it stays", () => {
  const data = fs.realpathSync(temporaryFolder());
  done.length = 0;
  const name = nodeName(data);
  const path = join(data, "node");
  expect(done).toEqual([`sync ${path}.new`, `rename ${path}`, `sync ${data}`]);
  expect(fs.readdirSync(data)).toEqual(["node"]);
  expect(nodeName(data)).toBe(name);
  expect(done).toHaveLength(3);
});

test("a file `node` that is empty or damaged is refused by its name, and nothing is changed", async () => {
  const good = "3f8ab2b2-7d3c-4b6c-9a39-0d6b8f1c2e11";
  const [first] = await Promise.all(
    ["", "\n", good.slice(0, 20), "\0".repeat(37), `${good}${good}`].map(async (content) => {
      const data = temporaryFolder();
      fs.writeFileSync(join(data, "node"), content);
      const refused = CofferNode.launch(data);
      expect(await refused.process.exited).toBe(1);
      const reason = refused.process.stderr.join("\n");
      expect(reason).toContain(`${join(data, "node")} is empty or damaged`);
      expect(reason).toContain("coffer queue forget");
      expect(Object.keys(contentsOf(data)).sort()).toEqual([join(data, "lock"), join(data, "node")]);
      expect(fs.readFileSync(join(data, "node"), "latin1")).toBe(content);
      return data;
    }),
  );
  fs.writeFileSync(join(first as string, "node"), `${good}\n`);
  const node = await CofferNode.start(first as string);
  expect(await node.stop()).toBe(0);
  expect(fs.readFileSync(join(first as string, "node"), "latin1")).toBe(`${good}\n`);
});
