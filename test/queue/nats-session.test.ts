/** One connection to a real stream: what is read from it, what is said to it, and what ends it. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  AckPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { NatsSession, STREAM, SUBJECT, SUBJECTS } from "../../src/queue/nats-session.ts";
import type { PublishAnswer } from "../../src/queue/stream-session.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";

const MAX_BYTES = 128 << 20;

let server: NatsServer;
let outside: NatsConnection;
let js: JetStreamClient;
let jsm: JetStreamManager;
let session: NatsSession;
let answers: PublishAnswer[];
let arrivals: (() => void) | undefined;

beforeAll(async () => {
  server = await NatsServer.start(temporaryFolder());
  outside = await server.connect();
  js = jetstream(outside);
  jsm = await jetstreamManager(outside);
});
afterAll(async () => {
  await outside.close();
  await server.stop();
});

beforeEach(async () => {
  session = await open();
  await session.create(1, { ledger_id: "some ledger" });
});
afterEach(async () => {
  session.end("the test is over");
  await jsm.streams.delete(STREAM).catch(() => {});
});

function open(maxBytes = MAX_BYTES): Promise<NatsSession> {
  answers = [];
  return NatsSession.open({ servers: server.url }, "a test", { maxBytes, replicas: 1 }, (answer) => {
    answers.push(answer);
  });
}

/** Begins to consume, and to hear of arrivals. */
async function consume(from: number): Promise<void> {
  session.onArrival(() => arrivals?.());
  await session.consume(from);
}

/** Takes messages until there are `count`, or the session is over. */
async function take(count: number): Promise<QueueMessage[]> {
  const taken: QueueMessage[] = [];
  while (taken.length < count && !session.over) {
    const message = session.take();
    if (message) taken.push(message);
    else if (!session.waiting && !session.over)
      await new Promise<void>((resolve) => {
        arrivals = resolve;
      });
  }
  return taken;
}

async function publish(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await js.publish(SUBJECT, `message ${i}`);
}

/** The subject to which the stream sends the session's messages. */
async function deliverSubject(): Promise<string> {
  const [consumer] = await jsm.consumers.list(STREAM).next();
  return consumer?.config.deliver_subject as string;
}

describe("messages", () => {
  test("come each once, in order, with the stream's number and its time cut to the millisecond", async () => {
    await publish(20);
    await consume(4);
    const messages = await take(17);
    expect(messages.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 17 }, (_, i) => i + 4));
    for (const { sequence, at, data } of messages) {
      const stored = (await jsm.streams.getMessage(STREAM, { seq: sequence }))!;
      expect(Buffer.from(data).toString()).toBe(stored.string());
      const [whole, fraction = ""] = stored.timestamp.replace("Z", "").split(".");
      expect(at).toBe(Date.parse(`${whole}.${fraction.padEnd(3, "0").slice(0, 3)}Z`));
      expect(await session.message(sequence)).toEqual({ sequence, at, data: Buffer.from(data) });
    }
  });

  test("that come a second time are dropped", async () => {
    await publish(3);
    await consume(1);
    await take(3);
    const deliver_subject = await deliverSubject();
    const { name } = await jsm.consumers.add(STREAM, { deliver_subject, ack_policy: AckPolicy.None });
    await eventually("they were sent again", async () => {
      const { delivered } = await jsm.consumers.info(STREAM, name);
      return delivered.stream_seq === 3 && session.waiting;
    });
    await publish(1);
    const [next] = await take(1);
    expect([next?.sequence, Buffer.from(next?.data ?? []).toString()]).toEqual([4, "message 0"]);
  });

  test("of which one was deleted end the session there: those before it are read, none after it", async () => {
    await publish(6);
    await jsm.streams.deleteMessage(STREAM, 4);
    await consume(1);
    expect((await take(6)).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(await session.ended).toBe("message 4 of the stream was skipped");
    expect([session.take(), session.waiting]).toEqual([undefined, false]);
  });

  test("of which the next was purged end the session at once", async () => {
    await publish(6);
    await jsm.streams.purge(STREAM, { seq: 4 });
    await consume(2);
    expect(await take(1)).toEqual([]);
    expect(await session.ended).toContain("message 2 of the stream was skipped");
  });

  test("of one subject are counted, those too that the server keeps back until others are taken", async () => {
    const large = new Uint8Array(64 << 10);
    for (let number = 0; number < 60; number++) await js.publish(SUBJECT, large);
    for (let number = 0; number < 5; number++) await js.publish(SUBJECTS.replace("*", "1"), "another's");
    session.onArrival(() => arrivals?.());
    await session.consume(1, SUBJECT);
    await eventually("all are counted", () => session.behind === 60);
    await take(10);
    expect(session.behind).toBe(50);
    await take(50);
    expect(session.behind).toBe(0);
  });

  test("that have no number of the stream end the session", async () => {
    await consume(1);
    outside.publish(await deliverSubject(), "from nowhere");
    expect(await session.ended).toBe("a message of the stream has no sequence number");
  });

  test("are found where some before them are gone", async () => {
    await publish(6);
    await jsm.streams.deleteMessage(STREAM, 4);
    expect([await session.firstFrom(3), await session.firstFrom(4), await session.firstFrom(7)]).toEqual([
      3,
      5,
      undefined,
    ]);
    expect(await session.message(4)).toBeUndefined();
    expect(await session.stream()).toMatchObject({ firstSequence: 1, lastSequence: 6 });
  });
});

describe("a reader that is slow", () => {
  test("is waited for: the stream stalls, the session stays, and nothing is left out", async () => {
    const [count, size] = [110, 512 << 10];
    const chunk = new Uint8Array(size);
    for (let i = 0; i < count; i++) await js.publish(SUBJECT, chunk);
    // A second listener on the session's subject sees what the server says to it.
    let stalls = 0;
    await consume(1);
    outside.subscribe(await deliverSubject(), {
      callback: (_, message: Msg) => {
        if (message.headers?.get("Nats-Consumer-Stalled")) stalls++;
      },
    });
    await eventually("the stream has said twice that it is stalled", () => stalls >= 2 || session.over);
    expect(session.over).toBe(false);
    expect((await take(count)).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: count }, (_, i) => i + 1),
    );
    await publish(1);
    expect(await take(1)).toHaveLength(1);
  });
});

describe("frames", () => {
  const body = new Uint8Array(100);
  const answered = async (count: number) =>
    await eventually(`${count} answers have come`, () => answers.length >= count);

  test("are answered when they are stored, and stored once under their id", async () => {
    session.publish(1, "origin-1", body);
    session.publish(2, "origin-2", body);
    session.publish(1, "origin-1", body);
    await answered(3);
    expect(answers).toEqual([
      { key: 1, refused: undefined, duplicate: false },
      { key: 2, refused: undefined, duplicate: false },
      { key: 1, refused: undefined, duplicate: true },
    ]);
    expect((await session.stream())?.lastSequence).toBe(2);
  });

  test("are refused by a full stream, at once and with its reason", async () => {
    await session.remove();
    const small = await open(1_000);
    await small.create(1, {});
    for (let i = 0; i < 8; i++) small.publish(i, `origin-${i}`, body);
    await answered(8);
    const refused = answers.filter((answer) => answer.refused !== undefined);
    expect(refused.map(({ refused: why }) => why)).toContain("maximum bytes exceeded");
    const { lastSequence } = (await small.stream()) ?? { lastSequence: -1 };
    expect(lastSequence).toBe(8 - refused.length);
    small.end("the test is over");
  });

  test("are refused at once where there is no stream", async () => {
    await session.remove();
    session.publish(1, "origin-1", body);
    await answered(1);
    expect(answers).toEqual([{ key: 1, refused: "no stream accepts commands" }]);
  });

  test("are refused, or left open, by what the error of their answer is known to mean", async () => {
    await session.remove();
    const said = [
      { err_code: 10_077, description: "maximum bytes exceeded" },
      { err_code: 10_077, description: "store is closed" },
      { err_code: 10_023, description: "insufficient resources" },
      { err_code: 10_158, description: "duplicate message id is in process" },
      { err_code: 99_999 },
      { description: "no code" },
      {},
    ];
    // A subject with a subscriber that answers as JetStream does.
    const responder = outside.subscribe(SUBJECT, {
      callback: (_, message) => {
        const error = said[Number(message.string())];
        message.respond(JSON.stringify({ stream: STREAM, seq: 0, error: { code: 503, ...error } }));
      },
    });
    await outside.flush();
    for (const number of said.keys())
      session.publish(number, `origin-${number}`, Buffer.from(String(number)));
    await answered(said.length);
    responder.unsubscribe();
    const refused = (key: number, why: string) => ({ key, refused: why });
    const unknown = (key: number, why: string) => ({ key, refused: undefined, unknown: why });
    expect(answers).toEqual([
      refused(0, "maximum bytes exceeded"),
      unknown(1, "store is closed"),
      refused(2, "insufficient resources"),
      unknown(3, "duplicate message id is in process"),
      unknown(4, "error 99999"),
      unknown(5, "no code"),
      unknown(6, "error undefined"),
    ]);
  });

  test("as large as is said to fit are taken", async () => {
    const id = `${"f".repeat(32)}-${Number.MAX_SAFE_INTEGER}`;
    session.publish(Number.MAX_SAFE_INTEGER, id, new Uint8Array(session.maxFrameBytes));
    await answered(1);
    expect(answers[0]?.refused).toBeUndefined();
    expect(session.maxFrameBytes).toBeGreaterThan(1_000_000);
  });

  test("can be put behind a given message only", async () => {
    await session.publishAfter(0, Buffer.from("first"));
    await session.publishAfter(0, Buffer.from("too late"));
    await session.publishAfter(1, Buffer.from("second"));
    expect((await session.stream())?.lastSequence).toBe(2);
    expect(Buffer.from((await session.message(2))?.data ?? []).toString()).toBe("second");
  });
});

describe("the stream", () => {
  test("is on file, keeps what it has when it is full, and keeps it for ever", async () => {
    const { config } = await jsm.streams.info(STREAM);
    expect(config).toMatchObject({
      subjects: ["coffer.commands.*"],
      storage: "file",
      discard: "new",
      retention: "limits",
      max_age: 0,
      max_msgs: -1,
      max_bytes: MAX_BYTES,
      allow_direct: false,
    });
    expect(await session.stream()).toMatchObject({ metadata: { ledger_id: "some ledger" } });
  });

  test("can be made with any first number", async () => {
    await session.remove();
    await session.remove();
    expect(await session.stream()).toBeUndefined();
    await session.create(70, { ledger_id: "some ledger" });
    expect(await session.stream()).toMatchObject({ firstSequence: 70, lastSequence: 69 });
    await publish(1);
    await consume(70);
    expect((await take(1))[0]?.sequence).toBe(70);
  });

  test("is made once", async () => {
    const another = await open();
    await expect(another.create(1, { ledger_id: "another" })).rejects.toThrow("another node");
    another.end("the test is over");
    expect(await session.stream()).toMatchObject({ metadata: { ledger_id: "some ledger" } });
  });
});

describe("the end", () => {
  test("comes when the consumer is gone, and not where the stream is only silent", async () => {
    await consume(1);
    const gone = (await jsm.consumers.list(STREAM).next())[0]?.name as string;
    const other = await open();
    await other.consume(1);
    await jsm.consumers.delete(STREAM, gone);
    expect(await session.ended).toBe("the stream's heartbeat was missed");
    expect([other.over, other.waiting]).toEqual([false, false]);
    other.end("the test is over");
  });

  test("is told to whoever asks, also afterwards", async () => {
    const heard: string[] = [];
    session.onEnd(() => heard.push("before"));
    session.end("one reason");
    session.end("another reason");
    session.onEnd(() => heard.push("after"));
    expect(await session.ended).toBe("one reason");
    expect(heard).toEqual(["before", "after"]);
  });

  test("does not come by an answer that cannot be understood, which is none", async () => {
    const inbox = Promise.withResolvers<string>();
    outside.subscribe(SUBJECT, { callback: (_, { reply }) => inbox.resolve(reply ?? "") });
    await outside.flush();
    session.publish(1, "origin-1", new Uint8Array(10));
    await eventually("the stream has answered", () => answers.length === 1);
    const noJson = headers();
    outside.publish(await inbox.promise, "what?", { headers: noJson });
    session.publish(2, "origin-2", new Uint8Array(10));
    await eventually("the next answer has come", () => answers.length === 2);
    expect(answers.map(({ key, refused }) => [key, refused])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
    expect(session.over).toBe(false);
  });
});
