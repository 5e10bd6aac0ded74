/** Requests that schemathesis makes from /openapi.json: no 5xx, no hang, no answer that is not in the document. */

import { expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { ROUTES } from "../../tools/harness/openapi.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";
import { SEED } from "../../tools/harness/seed.ts";
import { FUZZ_SECONDS, FUZZ_TIMEOUT_MS } from "./budget.ts";

const PYTHON = join(ROOT, "build", "schemathesis", "bin", "python");
const MAX_EXAMPLES = 12;
/** Without chains of requests, whose number of steps nothing but a time bounds. */
const SHORT_PHASES = "--phases=examples,coverage,fuzzing";
/** An answer that takes longer is a hang, in seconds. */
const ANSWER_TIMEOUT_SECONDS = 20;

/** Runs every check over this document, against the node at `url`. */
async function schemathesis(url: string, document: string, more: readonly string[] = []) {
  const folder = temporaryFolder();
  // It leaves files where it runs.
  cpSync(join(ROOT, "test", "fuzz", "schemathesis"), folder, { recursive: true });
  writeFileSync(join(folder, "openapi.json"), document);
  const report = join(folder, "report.json");
  const flags = [
    ...["--url", url, "--checks", "all", "--request-timeout", String(ANSWER_TIMEOUT_SECONDS)],
    ...["--seed", String(SEED), "--generation-database", "none", "--no-color"],
    ...["--report", "json", "--report-json-path", report],
    ...(FUZZ_SECONDS === undefined
      ? ["--max-examples", String(MAX_EXAMPLES), SHORT_PHASES]
      : ["--max-examples", "1000", "--max-time", String(Math.ceil(FUZZ_SECONDS / 2))]),
  ];
  const child = new TestProcess(
    PYTHON,
    ["-B", "-m", "schemathesis.cli", "run", "openapi.json", ...flags, ...more],
    {},
    folder,
  );
  const code = await child.exited;
  const output = [...child.stdout, ...child.stderr].join("\n");
  if (code !== 0 && code !== 1) throw new Error(`schemathesis ended with ${code}:\n${output}`);
  return { code, output, report: JSON.parse(readFileSync(report, "utf8")) };
}

/** As it publishes it. */
async function documentOf(node: CofferNode): Promise<string> {
  return (await node.client.get("/openapi.json")).text;
}

/** Once is enough for a short round. */
const FLAGS: [string[]][] = FUZZ_SECONDS === undefined ? [[[]]] : [[[]], [["--strict"]]];

test.each(FLAGS)(
  "a node answers what its document says, started with %j",
  async (flags) => {
    const node = await CofferNode.start(temporaryFolder(), { flags });
    expect((await node.client.open("alice", 2 ** 52)).status).toBe(201);
    const { code, output, report } = await schemathesis(node.url, await documentOf(node));
    if (code !== 0) throw new Error(output);
    expect(report).toMatchObject({ complete: true, failures: [], errors: [] });
    expect(report.operations.tested).toBe(ROUTES.length);
    expect(report.test_cases.generated).toBeGreaterThan(ROUTES.length * MAX_EXAMPLES);

    expect((await node.client.get("/health/ready")).status).toBe(200);
    expect((await node.client.ledger()).totals.every(({ sum }: { sum: number }) => sum === 0)).toBe(true);
    const told = node.process.stderr.filter((line) => JSON.parse(line).level >= 40);
    expect(told.filter((line) => !line.includes("no_keys"))).toEqual([]);
    expect(await node.stop()).toBe(0);
    replayIndependently(join(node.data, "events.log"));
    expect(await coffer(["verify", "--data", node.data])).toMatchObject({ code: 0 });
  },
  FUZZ_TIMEOUT_MS,
);

test("a document that says something else is noticed", async () => {
  const node = await CofferNode.start(temporaryFolder());
  await node.client.open("alice", 1_000);
  const wrong = (await documentOf(node)).replace(/"const":"committed"/, '"const":"done"');
  const { code, report } = await schemathesis(node.url, wrong, [
    "--phases=examples",
    "--include-path=/v1/wallet/transfer",
  ]);
  expect(code).toBe(1);
  expect(report.failures).toMatchObject([{ operations: ["POST /v1/wallet/transfer"] }]);
  await node.crash();
});
