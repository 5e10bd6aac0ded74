/** Nodes that write to PostgreSQL are killed, again and again, under load: every row equals the ledger's balance. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import type { TransferRequest } from "../../tools/harness/wallet-client.ts";
import { Asking } from "../support/ledger-in-postgres.ts";

const TRANSFERS = 200_000;
const BATCH = 1_000;
const KILLS = 20;
const PATIENCE_MS = 180_000;
const ACCOUNTS = 500;
const CURRENCIES = ["USD", "EUR", "JPY"];
const FLAGS = ["--postgres-lease-ms", "400"];

const draw = randomIntegers();

/** A few accounts are hot: of two draws the lower one counts. */
function account(): string {
  return `account-${Math.min(draw(ACCOUNTS), draw(ACCOUNTS), draw(ACCOUNTS))}`;
}

function someTransfers(count: number): TransferRequest[] {
  return Array.from({ length: count }, () => {
    const from_account = account();
    let to_account = account();
    while (to_account === from_account) to_account = account();
    return { from_account, to_account, amount: 1 + draw(500), currency: CURRENCIES[draw(3)]! };
  });
}

test(
  "the leader is killed 20 times while 200,000 random transfers run",
  async () => {
    const nats = await NatsServer.start(temporaryFolder());
    const server = await PostgresServer.start();
    const asking = new Asking(server.url);
    const flags = ["--nats-url", nats.url, "--postgres-url", server.url, ...FLAGS];
    const folders = [temporaryFolder(), temporaryFolder()];
    const nodes = await Promise.all(folders.map((folder) => CofferNode.start(folder, { flags })));
    const names = folders.map((folder) => readFileSync(join(folder, "node"), "utf8").trim());
    for (let number = 0; number < ACCOUNTS; number += 10)
      for (const currency of CURRENCIES)
        await nodes[0]!.client.deposit(`account-${number}`, 100_000, { currency });

    const leader = async () => names.indexOf((await asking.lock()).leader_svc_id ?? "");
    await eventually("one of them leads", async () => (await asking.offset()) > 0);
    for (let round = 0; round < KILLS; round++) {
      const { fencing_token: token } = await asking.lock();
      const killed = await leader();
      const heir = 1 - killed;
      const { client } = nodes[heir]!;
      const until = draw(TRANSFERS / KILLS / BATCH);
      for (let batch = 0; batch < TRANSFERS / KILLS / BATCH; batch++) {
        const sending = client.transfers(someTransfers(BATCH));
        if (batch === until) await nodes[killed]!.crash();
        expect((await sending).status).toBe(200);
      }
      nodes[killed] = await CofferNode.start(folders[killed]!, { flags });
      // The other one, or the one that was killed, where it is back so soon: whoever leads leads anew.
      await eventually("somebody leads again", async () => (await asking.lock()).fencing_token > token);
    }

    const path = join(folders[0]!, "events.log");
    const { seq } = await nodes[0]!.client.ledger();
    await asking.reached(seq);
    expect((await asking.lock()).fencing_token).toBeGreaterThanOrEqual(KILLS + 1);
    expect(await Promise.all(nodes.map((node) => node.stop()))).toEqual([0, 0]);
    await asking.mustEqual(path);
    expect(replayIndependently(path).events).toBe(seq);
    const checked = await coffer(["postgres", "check", "--data", folders[1]!, "--postgres-url", server.url]);
    expect(checked.code).toBe(0); // how far it is goes to stderr
    expect(checked.stdout).toContain(`as of seq ${seq}`);
    await asking.close();
    await server.stop();
    await nats.stop();
  },
  PATIENCE_MS,
);
