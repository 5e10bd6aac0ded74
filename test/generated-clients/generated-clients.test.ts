/** Clients that are generated from /openapi.json: nothing of it is lost, and they call the executable. */

import { beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";

const HERE = join(ROOT, "test", "generated-clients");
const BUILD = join(ROOT, "build", "generated-clients");
const BIN = join(ROOT, "node_modules", ".bin");
const GENERATED = join(BUILD, "coffer.d.ts"); // as caller.ts imports it
const PYTHON = join(BUILD, "python", "bin", "python");
/** alice has 100, pays 20, and then wants to pay 1,000. */
const CALLED = { left: 80, balance: 80, refused: "insufficient_funds" };

/** As a node publishes it. */
let document: string;

beforeAll(async () => {
  mkdirSync(BUILD, { recursive: true });
  document = join(temporaryFolder(), "openapi.json");
  const node = await CofferNode.start(temporaryFolder());
  writeFileSync(document, (await node.client.get("/openapi.json")).text);
  await node.crash();
});

/** What a program has printed; throws where it fails. */
async function outputOf(program: string, args: readonly string[], env = {}): Promise<string> {
  const child = new TestProcess(program, args, env);
  const code = await child.exited;
  const output = [...child.stdout, ...child.stderr].join("\n");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${output}`);
  return output;
}

/** Against a node of its own. */
async function call(program: string, args: readonly string[], env = {}): Promise<unknown> {
  const node = await CofferNode.start(temporaryFolder());
  const output = await outputOf(program, [...args, node.url], env);
  expect(await node.stop()).toBe(0);
  return JSON.parse(output);
}

test("by openapi-typescript", async () => {
  const generator = join(BUILD, "typescript", "node_modules", "openapi-typescript", "bin", "cli.js");
  await outputOf("node", [generator, document, "-o", GENERATED]);
  await outputOf(join(BIN, "tsc"), ["-p", HERE]);
  expect(await call(process.execPath, [join(HERE, "caller.ts")])).toEqual(CALLED);
});

test("by openapi-python-client, without a warning: of what it warns, it leaves something out", async () => {
  const client = join(temporaryFolder(), "client");
  const config = join(temporaryFolder(), "config.json");
  writeFileSync(config, JSON.stringify({ post_hooks: [] }));
  const output = await outputOf(PYTHON, [
    ...["-m", "openapi_python_client", "generate", "--fail-on-warning"],
    ...["--path", document, "--output-path", client, "--config", config],
  ]);
  expect(output).not.toMatch(/warning|error/i);
  const env = { PYTHONPATH: client, PYTHONDONTWRITEBYTECODE: "1" };
  expect(await call(PYTHON, [join(HERE, "caller.py")], env)).toEqual(CALLED);
});
