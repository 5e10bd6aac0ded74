/** The package as it is published, and the example of its README, under every runtime that it is for. */

import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";

const PACKAGE = join(ROOT, "clients", "typescript");
const BIN = join(ROOT, "node_modules", ".bin");

const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  Node: ["node"],
  Bun: [join(BIN, "bun"), "run"],
  Deno: [join(BIN, "deno"), "run", "--allow-net", "--no-lock"],
};

const [, example, printed] =
  /```js\n([\s\S]*?)```\n\nprints\n\n```\n([\s\S]*?)```/.exec(
    readFileSync(join(PACKAGE, "README.md"), "utf8"),
  ) ?? [];
const DEFAULT_URL = "http://127.0.0.1:8080";

/** Amounts that a double would round. */
const EXACT = `
import { Coffer, OutcomeUnknown } from "coffer-client";
const coffer = new Coffer("${DEFAULT_URL}");
const huge = { currency: "HUGE" };
await coffer.openAccount({ account: "vault", initialBalance: 2n ** 63n - 1n, ...huge });
const calls = Array.from({ length: 1000 }, () => coffer.transfer({ from: "vault", to: "safe", amount: 1, ...huge }));
const outcomes = await Promise.all(calls);
console.log(outcomes.every(({ status }) => status === "committed"));
console.log((await coffer.balance("vault", huge)).balance);
await coffer.close();
const nowhere = new Coffer("http://127.0.0.1:1", { timeoutMs: 100 });
const error = await nowhere.transfer({ from: "vault", to: "safe", amount: 1 }).catch((reason) => reason);
console.log(error instanceof OutcomeUnknown, error.name);
`;

/** A folder in which the package is installed as npm would do it. */
const folder = temporaryFolder();
const installed = join(folder, "node_modules", "coffer-client");

beforeAll(async () => {
  mkdirSync(installed, { recursive: true });
  for (const file of ["package.json", "README.md", "LICENSE", "src"])
    cpSync(join(PACKAGE, file), join(installed, file), { recursive: true });
  const tsc = new TestProcess(join(BIN, "tsc"), ["-p", PACKAGE, "--outDir", join(installed, "dist")]);
  const code = await tsc.exited;
  if (code !== 0) throw new Error(`tsc ended with ${code}: ${tsc.stdout.join("\n")}`);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
});

describe.each(Object.keys(RUNTIMES))("%s", (runtime) => {
  test("runs the README's example and is exact", async () => {
    const node = await CofferNode.start(temporaryFolder());
    const run = async (name: string, code: string) => {
      const script = join(folder, `${runtime}-${name}.mjs`);
      writeFileSync(script, code.replaceAll(DEFAULT_URL, node.url));
      const [command, ...args] = RUNTIMES[runtime] as readonly [string, ...string[]];
      const child = new TestProcess(command, [...args, script], { NO_COLOR: "1" });
      const exit = await child.exited; // it ends by itself: nothing of the client keeps it alive
      return `${child.stdout.join("\n")}\n${exit === 0 ? "" : `exit ${exit}: ${child.stderr.join("\n")}`}`;
    };
    expect(await run("example", example as string)).toBe(printed as string);
    expect(await run("exact", EXACT)).toBe("true\n9223372036854774807n\ntrue OutcomeUnknown\n");
    await node.stop();
  });
});

test("what is published has types for TypeScript, and needs no other package", async () => {
  writeFileSync(
    join(folder, "use.ts"),
    `import { Coffer, type TransferOutcome } from "coffer-client";
const outcome: TransferOutcome = await new Coffer("${DEFAULT_URL}").transfer({ from: "a", to: "b", amount: 1n });
export const seq: number = outcome.status === "committed" ? outcome.seq : outcome.code.length;
`,
  );
  const options = "--ignoreConfig --noEmit --strict --module nodenext --target es2022 --lib es2022,dom".split(
    " ",
  );
  const tsc = new TestProcess(join(BIN, "tsc"), [...options, "--types", "", join(folder, "use.ts")]);
  expect([await tsc.exited, ...tsc.stdout]).toEqual([0]);
  const { dependencies, files, exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  expect(dependencies).toBeUndefined();
  expect(files).toEqual(["dist", "src"]);
  expect(readdirSync(join(installed, "dist"))).toContain(exports["."].default.split("/").pop());
});
