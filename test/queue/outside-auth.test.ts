/** NATS servers that ask for a user and password, or a token. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";

test.concurrent("a node that is not let in at its start says so, without the password, and stops", async () => {
  const nats = await server("--user", "teller", "--pass", "right");
  const env = { NATS_URL: `nats://teller:wrong@127.0.0.1:${nats.port}` };
  const node = CofferNode.launch(temporaryFolder(), { env });
  expect(await node.process.exited).toBe(1);
  expect(node.process.stderr.at(-1)).toContain("NATS authentication failed");
  expect(node.process.stderr.join("\n")).not.toContain("wrong");
  await nats.process.stop();
});

async function server(...authorization: string[]): Promise<{ port: number; process: TestProcess }> {
  const port = await freePort();
  const args = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", temporaryFolder(), ...authorization];
  const child = new TestProcess(join(ROOT, "build", "tools", "nats-server"), args);
  await child.line(/Server is ready/);
  return { port, process: child };
}

test.concurrent.each([
  ["a user and a password", ["--user", "teller", "--pass", "p@ss word"], "teller:p%40ss%20word"],
  ["a token", ["--auth", "s3cret"], "s3cret"],
] as const)("%s are taken out of the URL", async (_, authorization, credentials) => {
  const nats = await server(...authorization);
  const url = `nats://${credentials}@127.0.0.1:${nats.port}`;
  const node = await CofferNode.start(temporaryFolder(), { env: { NATS_URL: url } });
  expect((await node.client.open("alice", 7)).status).toBe(201);
  expect(node.process.stderr.join("\n")).not.toContain(credentials);
  expect(await coffer(["queue", "nodes"], "the compiled executable", { NATS_URL: url })).toMatchObject({
    code: 0,
  });
  expect(await node.stop()).toBe(0);
  await nats.process.stop();
});
