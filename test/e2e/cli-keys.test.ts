/** coffer keys: what it prints, keeps, refuses, and what becomes of two at once. */

import { describe, expect, test } from "bun:test";
import { chownSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, CofferNode, coffer, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";

const KEY = /^coffer_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/;

const keysIn = (data: string): Record<string, string>[] =>
  JSON.parse(readFileSync(join(data, "keys.json"), "utf8"));

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("a key is printed once, alone; the folder has its salted hash, and lists tell neither", async () => {
    const data = join(temporaryFolder(), "new");
    const added = await coffer(
      ["keys", "add", "shop", "--scope", "write", "--account", "shop-", "--data", data],
      runtime,
    );
    expect([added.code, added.stderr]).toEqual([0, ""]);
    expect(added.stdout).toMatch(KEY);
    const second = await coffer(["keys", "add", "till", "--scope", "read", "--json"], runtime, {
      COFFER_DATA: data,
    });
    const { key: secondKey, ...told } = JSON.parse(second.stdout);
    expect([second.code, secondKey === added.stdout]).toEqual([0, false]);
    expect([KEY.test(secondKey), told]).toEqual([
      true,
      expect.objectContaining({ name: "till", scope: "read" }),
    ]);
    for (const key of [added.stdout, secondKey])
      for (const content of Object.values(contentsOf(data))) expect(content).not.toContain(key.slice(-43));
    const listed = await coffer(["keys", "list", "--data", data], runtime);
    expect([listed.code, listed.stderr]).toEqual([0, ""]);
    const [shop, till] = keysIn(data);
    expect(listed.stdout.split("\n")).toEqual([
      "NAME  SCOPE  ACCOUNTS  CREATED",
      `shop  write  shop-     ${shop?.created}`,
      `till  read   *         ${till?.created}`,
    ]);
    const asJson = await coffer(["keys", "list", "--json", "--data", data], runtime);
    expect(JSON.parse(asJson.stdout)).toEqual(
      [shop, till].map((record) => ({ ...record, id: undefined, salt: undefined, hash: undefined })),
    );
    for (const { salt, hash, id } of keysIn(data))
      for (const secret of [salt, hash, id]) expect(listed.stdout + asJson.stdout).not.toContain(secret!);
    expect(await coffer(["keys", "revoke", "shop", "--data", data], runtime)).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(keysIn(data).map(({ name }) => name)).toEqual(["till"]);
    await coffer(["keys", "revoke", "till", "--data", data], runtime);
    expect(keysIn(data)).toEqual([]);
  });

  test.skipIf(process.geteuid?.() !== 0)("root makes them for the user of the node", async () => {
    const data = temporaryFolder();
    chownSync(data, 65_533, 65_533);
    for (const args of [
      ["add", "shop", "--scope", "read"],
      ["revoke", "shop"],
    ]) {
      expect((await coffer(["keys", ...args, "--data", data], runtime)).code).toBe(0);
      const owners = ["keys.json", "keys.lock"].map((name) => statSync(join(data, name)).uid);
      expect(owners).toEqual([65_533, 65_533]);
    }
  });

  test("of many added at once none is lost", async () => {
    const data = temporaryFolder();
    const names = Array.from({ length: 6 }, (_, i) => `key-${i}`);
    const added = await Promise.all(
      names.map((name) => coffer(["keys", "add", name, "--scope", "read", "--data", data], runtime)),
    );
    expect(added.map(({ code }) => code)).toEqual(names.map(() => 0));
    expect(new Set(added.map(({ stdout }) => stdout)).size).toBe(names.length);
    expect(
      keysIn(data)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(names);
  });
});

test("of two with one name at once the second is refused", async () => {
  const data = temporaryFolder();
  const both = await Promise.all(
    [1, 2].map(() => coffer(["keys", "add", "shop", "--scope", "read", "--data", data])),
  );
  expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
  const refused = both.find(({ code }) => code === 1);
  expect(refused?.stderr).toContain("the key shop already exists");
  expect(refused?.stdout).toBe("");
  const node = await CofferNode.start(data);
  const key = both.find(({ code }) => code === 0)?.stdout as string;
  expect((await new WalletClient(node.url, { key }).get("/v1/ledger")).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

const WRONG: readonly (readonly [args: readonly string[], told: string])[] = [
  [[], "expected add NAME"],
  [["remove", "shop"], "expected add NAME"],
  [["add"], "expected add NAME"],
  [["add", "--scope", "read"], "expected add NAME"],
  [["add", "shop"], "--scope"],
  [["add", "shop", "till", "--scope", "read"], "till"],
  [["add", "shop", "--scope", "root"], "--scope"],
  [["add", "shop", "--scope", "read", "--account", "@world"], "--account"],
  [["add", "shop", "--scope", "metrics", "--account", "shop-"], "--account"],
  [["add", "shop", "--scope", "read", "--account", ""], "--account"],
  [["add", "a b", "--scope", "read"], "NAME"],
  [["add", ".hidden", "--scope", "read"], "NAME"],
  [["add", "x".repeat(65), "--scope", "read"], "NAME"],
  [["add", "a\nb", "--scope", "read"], "NAME"],
  [["revoke"], "expected revoke NAME"],
  [["revoke", "../shop"], "NAME"],
  [["revoke", "shop", "--scope", "read"], "--scope"],
  [["list", "shop"], "shop"],
];

test("what is not said as it should be exits 2, and makes nothing", async () => {
  for (const [args, told] of WRONG) {
    const data = join(temporaryFolder(), "never");
    const { code, stdout, stderr } = await coffer(["keys", ...args, "--data", data]);
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(stderr).toContain(told);
    expect(existsSync(data)).toBe(false);
  }
});

test("a key that there is not, and a folder without keys, are told, and nothing is made", async () => {
  const none = temporaryFolder();
  for (const args of [["list"], ["revoke", "shop"]]) {
    const { code, stdout, stderr } = await coffer(["keys", ...args, "--data", none]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("does not exist");
  }
  expect(contentsOf(none)).toEqual({});
  const data = temporaryFolder();
  await addKey(data, "till", "read");
  const before = contentsOf(data);
  const { code, stderr } = await coffer(["keys", "revoke", "shop", "--data", data]);
  expect([code, stderr]).toEqual([1, `coffer keys: ${data} has no key shop`]);
  expect(contentsOf(data)).toEqual(before);
});

test("a broken file is refused by every command and by the start, and stays as it is", async () => {
  const data = temporaryFolder();
  writeFileSync(join(data, "keys.json"), '[{"name":"sh');
  for (const args of [
    ["keys", "list"],
    ["keys", "revoke", "shop"],
    ["keys", "add", "shop", "--scope", "read"],
    ["serve", "--port", "0"],
  ]) {
    const { code, stdout, stderr } = await coffer([...args, "--data", data]);
    expect([args, code, stdout]).toEqual([args, 1, ""]);
    expect(stderr).toContain(`${join(data, "keys.json")} is broken`);
    expect(stderr.split("\n")).toHaveLength(1);
  }
  expect(readFileSync(join(data, "keys.json"), "utf8")).toBe('[{"name":"sh');
});
