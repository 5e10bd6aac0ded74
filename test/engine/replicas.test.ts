/** Several nodes on one NATS: they write one log, and watch each other. */

import { describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const POSITIONS = "coffer.positions";

const start = (on: NatsServer, data = temporaryFolder()): Promise<CofferNode> =>
  CofferNode.start(data, { flags: ["--nats-url", on.url] });

const logOf = ({ data }: CofferNode) => readFileSync(join(data, "events.log"), "latin1");

interface Claim {
  node: string;
  ledger_id: string;
  command: string;
  seq: number;
  crc: string;
}

/** What a node that has this log would claim after each of its commands. */
function positionsOf({ data }: CofferNode): Claim[] {
  const { lines } = replayIndependently(join(data, "events.log"));
  const { ledger_id } = lines[0];
  return lines
    .filter(({ crc }) => crc !== undefined)
    .map(({ command, seq, crc }) => ({ node: "another", ledger_id, command, seq, crc }));
}

const wrong = (claim: Claim): Claim => ({
  ...claim,
  crc: claim.crc === "00000000" ? "00000001" : "00000000",
});

test("two nodes write one log, whoever's callers ask, also where one of them was killed meanwhile", async () => {
  const draw = randomIntegers(SEED);
  const tellers = new Tellers(draw);
  const server = await NatsServer.start(temporaryFolder());
  const [one, first] = await Promise.all([start(server), start(server)]);
  let other = first;
  for (let times = 0; times < 2; times++) {
    await Promise.all([tellers.work(one.client, 100, 8), tellers.work(other.client, 100, 8)]);
    const working = tellers.work(one.client, 1_000_000, 8);
    const enough = tellers.acknowledged + 20 + draw(50);
    await eventually("more were answered", () => tellers.acknowledged > enough);
    await other.crash();
    other = await start(server, other.data);
    tellers.stop();
    await working;
  }
  await tellers.settle(other.client);
  await eventually("both have decided everything", async () => {
    const [left, right] = await Promise.all([one.client.ledger(), other.client.ledger()]);
    return left.seq === right.seq;
  });
  expect(await one.client.ledger()).toEqual(await other.client.ledger());
  expect(await one.stop()).toBe(0);
  await expectWhole(other, tellers);
  expect(logOf(one)).toBe(logOf(other));
  await server.crash();
});

test("a request of a NATS client is served by one of the nodes, and its answer is true of both", async () => {
  const server = await NatsServer.start(temporaryFolder());
  const connection = await server.connect();
  const [one, other] = await Promise.all([start(server), start(server)]);
  await one.client.open("ann", 100);
  const pay = () => ({ transaction_id: randomUUID(), from_account: "ann", to_account: "ben", amount: 1 });
  const payments = Array.from({ length: 40 }, pay);
  const answers = await Promise.all(
    payments.map((payment) => connection.request("coffer.transfer", JSON.stringify(payment))),
  );
  for (const answer of answers) {
    expect([answer.headers?.get("Coffer-Status"), answer.headers?.get("Idempotent-Replayed")]).toEqual([
      "200",
      "",
    ]);
  }
  for (const { client } of [one, other])
    await eventually("ben has it all", async () => (await client.balance("ben").catch(() => 0)) === 40);
  await eventually("the logs are one", () => logOf(one) === logOf(other));
  expect(await Promise.all([one.stop(), other.stop()])).toEqual([0, 0]);
  await connection.close();
  await server.crash();
});

describe("positions", () => {
  test.concurrent("are told at the connection and again and again, as the log has them", async () => {
    const own = await NatsServer.start(temporaryFolder());
    const listener = await own.connect();
    const claims: Claim[] = [];
    listener.subscribe(POSITIONS, {
      callback: (_, message) => {
        claims.push(message.json<Claim>());
      },
    });
    await listener.flush();
    const first = await start(own);
    await first.client.open("ann", 100);
    const known = () => positionsOf(first).map((claim) => `${claim.command} ${claim.seq} ${claim.crc}`);
    await eventually("the opening is told", () => claims.some(({ seq }) => seq === 2));
    await first.client.deposit("ann", 1);
    await eventually(
      "the deposit is told three times",
      () => claims.filter(({ seq }) => seq === 4).length > 2,
    );
    const names = new Set(claims.map(({ node }) => node));
    expect([...names]).toEqual([readFileSync(join(first.data, "node"), "utf8").trim()]);
    const { ledger_id } = await first.client.ledger();
    for (const claim of claims) {
      expect(Object.keys(claim)).toEqual(["node", "ledger_id", "command", "seq", "crc"]);
      expect(claim.ledger_id).toBe(ledger_id);
      expect(known()).toContain(`${claim.command} ${claim.seq} ${claim.crc}`);
    }

    // At a connection too: what a node that has just started tells first is where its log already was.
    expect(await first.stop()).toBe(0);
    claims.length = 0;
    const again = await start(own, first.data);
    await eventually("it is told at the start", () => claims.length > 0);
    expect(claims[0]).toMatchObject({ seq: 4, ledger_id });
    expect(await again.stop()).toBe(0);
    await listener.close();
    await own.crash();
  });

  /** A node with a server of its own and some commands in its log, and a way to make claims. */
  async function claimant() {
    const own = await NatsServer.start(temporaryFolder());
    const node = await start(own);
    for (let i = 0; i < 5; i++) expect((await node.client.deposit("ann", 10)).status).toBe(200);
    const outside = await own.connect();
    const claim = (value: unknown, options?: { reply: string }) =>
      outside.publish(POSITIONS, typeof value === "string" ? value : JSON.stringify(value), options);
    const register = (name: string) => outside.publish(`$KV.COFFER_NODES.${name}`, "1");
    const publish = (text: string) => outside.publish("coffer.commands.0", text);
    const end = async () => {
      await node.crash();
      await outside.close();
      await own.crash();
    };
    /** Resolves when the node has heard every claim that was made so far. */
    const heard = async () => {
      await outside.flush();
      const payment = { from_account: "ann", to_account: "ben", amount: 1 };
      await outside.request("coffer.transfer", JSON.stringify(payment), { timeout: 30_000 });
    };
    return { node, claim, register, heard, publish, end, positions: positionsOf(node) };
  }

  const DIFFERENT: [string, (positions: Claim[], node: CofferNode) => Claim][] = [
    ["its last command", (positions) => wrong(positions.at(-1)!)],
    ["a command in the middle", (positions) => wrong(positions[2]!)],
    ["its opening", (positions) => wrong(positions[0]!)],
    [
      "a command that it has not",
      (positions) => ({ ...positions[3]!, command: `${positions[3]!.command}9` }),
    ],
    [
      "its last command, by a node of the same name",
      (positions, { data }) => ({
        ...wrong(positions.at(-1)!),
        node: readFileSync(join(data, "node"), "utf8").trim(),
      }),
    ],
  ];
  test.concurrent.each(DIFFERENT)("that differ after %s stop the node", async (_, forge) => {
    const { node, claim, end, positions } = await claimant();
    claim(forge(positions, node));
    expect(await node.process.exited).toBe(1);
    expect(node.process.stderr.at(-1)).toContain("the logs differ");
    await end();
  });

  test.concurrent("that are still ahead are compared when the log has come so far", async () => {
    const { node, claim, heard, publish, end, positions } = await claimant();
    const last = positions.at(-1)!;
    // The stream goes on and the log does not: what another node has logged there is not lost.
    for (let count = 0; count < 3; count++) publish("no command");
    await heard();
    claim({ ...wrong(last), seq: last.seq + 4, command: `${Number(last.command.split(".")[0]) + 2}.0` });
    await heard();
    expect((await node.client.get("/health/ready")).status).toBe(200);
    const answered = node.client.deposit("ann", 1).catch(() => undefined);
    expect(await node.process.exited).toBe(1);
    expect(node.process.stderr.at(-1)).toContain("the logs differ");
    await answered;
    await end();
  });

  test.concurrent("that lie beyond the stream's end stop the node, which names the other", async () => {
    const { node, claim, register, heard, end, positions } = await claimant();
    const last = positions.at(-1)!;
    const beyond = { ...last, node: "another", seq: last.seq + 40, command: "99.0" };
    claim(beyond); // of a node that nobody has registered
    await heard();
    await Bun.sleep(1_500); // the stream is looked at once a second
    expect((await node.client.deposit("ann", 1)).status).toBe(200);
    register("another");
    const claiming = setInterval(() => claim(beyond), 200);
    expect(await node.process.exited).toBe(1);
    clearInterval(claiming);
    expect(node.process.stderr.at(-1)).toMatch(
      /node another has logged .* 99, .*coffer queue forget another/,
    );
    await end();
  });

  test.concurrent("of nodes that are just connecting count only if these are registered", async () => {
    const { node, claim, heard, end, positions } = await claimant();
    const last = positions.at(-1)!;
    const asking = { reply: POSITIONS };
    claim({ ...wrong(last), node: "a-copy" }, asking);
    claim({ ...last, node: "a-copy", seq: last.seq + 40, command: "99.0" }, asking);
    await heard();
    await Bun.sleep(1_500); // the stream is looked at once a second
    expect((await node.client.deposit("ann", 1)).status).toBe(200);
    const own = readFileSync(join(node.data, "node"), "utf8").trim();
    claim({ ...wrong(last), node: own }, asking);
    expect(await node.process.exited).toBe(1);
    expect(node.process.stderr.at(-1)).toContain("the logs differ");
    await end();
  });

  test.concurrent("that are right, of another ledger, or no positions at all do not stop the node", async () => {
    const { node, claim, heard, end, positions } = await claimant();
    for (const right of positions) claim(right);
    for (const position of positions) claim({ ...wrong(position), ledger_id: randomUUID() });
    const last = positions.at(-1)!;
    const { crc: _, ...without } = wrong(last);
    for (const odd of [
      "",
      "{",
      "null",
      "[]",
      without,
      { ...wrong(last), seq: "1" },
      { ...wrong(last), seq: -1.5 },
      { ...wrong(last), command: "first" },
      { ...wrong(last), command: "1.0.0" },
      { ...wrong(last), crc: "0" },
      { ...wrong(last), node: 7 },
    ])
      claim(odd);
    await heard();
    expect((await node.client.deposit("ann", 1)).status).toBe(200);
    expect(await node.stop()).toBe(0);
    await end();
  });
});
