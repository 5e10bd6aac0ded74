/** A folder moves from its own nats-server to an external one, back, and there again, as docs/operations.md says. */

import { expect, test } from "bun:test";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const AT_ONCE = 8;

/** The flag that a refused start names. */
async function namedFlag(node: CofferNode): Promise<string> {
  expect(await node.process.exited).toBe(1);
  const [flag] = /--remake-lost-stream=[0-9]+/.exec(node.process.stderr.at(-1) ?? "") ?? [];
  if (flag === undefined) throw new Error(`no flag is named in ${node.process.stderr.at(-1)}`);
  return flag;
}

test("nothing is lost or decided twice on the way, also where the external server is come back to", async () => {
  const server = await NatsServer.start(temporaryFolder());
  const tellers = new Tellers(randomIntegers(SEED));
  const data = temporaryFolder();
  const external = ["--nats-url", server.url];
  let node = await CofferNode.start(data);
  await tellers.work(node.client, 40, AT_ONCE);
  for (let time = 0; time < 2; time++) {
    expect(await node.stop()).toBe(0);
    const flag = await namedFlag(CofferNode.launch(data, { flags: external }));
    node = await CofferNode.start(data, { flags: [...external, flag] });
    await tellers.work(node.client, 40, AT_ONCE);
    expect(await node.stop()).toBe(0);
    // The flag counts once: a start that still has it goes on as any other.
    node = await CofferNode.start(data, { flags: [...external, flag] });
    expect(node.process.stderr.join()).not.toContain('"stream_recreated"');
    await tellers.work(node.client, 40, AT_ONCE);

    expect(await node.stop()).toBe(0);
    node = await CofferNode.start(data);
    await node.process.line(/"stream_recreated"/);
    await tellers.work(node.client, 40, AT_ONCE);
  }
  await expectWhole(node, tellers);
  await server.stop();
});
