/** What bodies may take while they are read. */

import { expect, test } from "bun:test";
import { Bodies, SMALL_BODY_BYTES } from "../../src/gateway/bodies.ts";

const LARGE = SMALL_BODY_BYTES * 4;
const LIMITS = { maxBodyBytes: LARGE, maxBodiesBytes: LARGE * 2 };
const notBusy = () => undefined;

interface Upload {
  readonly request: Request;
  send(bytes: number): void;
  end(): void;
  fail(): void;
}

/** A request whose body comes by hand; with `length` it is announced. */
function upload(length?: number): Upload {
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      body = controller;
    },
  });
  const headers = length === undefined ? undefined : { "content-length": String(length) };
  return {
    request: new Request("http://localhost/", { method: "POST", body: stream, headers }),
    send: (bytes) => body?.enqueue(new Uint8Array(bytes)),
    end: () => body?.close(),
    fail: () => body?.error(new Error("the connection was cut")),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

for (const [how, length] of [
  ["announced", LARGE],
  ["in chunks", undefined],
] as const) {
  test(`large bodies, ${how}, are bounded together, and small ones go past them`, async () => {
    const bodies = new Bodies(LIMITS);
    const begin = () => {
      const one = upload(length);
      const read = bodies.read(one.request, notBusy);
      one.send(LARGE);
      return { one, read };
    };
    const [first, second, third] = [begin(), begin(), begin()];
    expect(await third.read).toMatchObject({ status: 503, retryAfter: 1 });
    expect(bodies.bytes).toBe(LARGE * 2);
    for (const announced of [SMALL_BODY_BYTES, undefined]) {
      const small = upload(announced);
      small.send(SMALL_BODY_BYTES);
      small.end();
      expect(await bodies.read(small.request, notBusy)).toHaveLength(SMALL_BODY_BYTES);
    }
    first.one.end();
    expect(await first.read).toHaveLength(LARGE);
    const fourth = begin();
    fourth.one.end();
    expect(await fourth.read).toHaveLength(LARGE);
    second.one.fail();
    expect(await second.read).toMatchObject({ status: 400 });
    expect(bodies.bytes).toBe(0);
  });

  test(`a large body, ${how}, that does not come in time is given up, and counts no more`, async () => {
    const bodies = new Bodies(LIMITS, 1);
    const slow = upload(length);
    const read = bodies.read(slow.request, notBusy);
    slow.send(LARGE / 2);
    expect(await read).toMatchObject({ status: 408 });
    expect(bodies.bytes).toBe(0);
    slow.send(LARGE / 2);
    await turn();
    expect(bodies.bytes).toBe(0);
    slow.fail();
    await turn();
    expect(bodies.bytes).toBe(0);
  });
}

test("while commands are refused a large body is not read, and a small one is", async () => {
  const bodies = new Bodies(LIMITS);
  const large = upload(LARGE);
  expect(await bodies.read(large.request, () => "busy")).toMatchObject({ status: 503, retryAfter: 1 });
  expect(large.request.bodyUsed).toBe(false);
  const small = upload(1);
  small.send(1);
  small.end();
  expect(await bodies.read(small.request, () => "busy")).toHaveLength(1);
});

test("a large body asks for what it may bring itself, behind what others may bring: a whole batch each at most", async () => {
  const bodies = new Bodies({ maxBodyBytes: 4 << 20, maxBodiesBytes: 16 << 20 });
  const asked: number[][] = [];
  const begin = (length: number) => {
    const one = upload(length);
    const read = bodies.read(one.request, (commands, others) => {
      asked.push([commands, others]);
      return undefined;
    });
    return { one, read };
  };
  const first = begin(4 << 20);
  const second = begin(4 << 20);
  const third = begin(LARGE);
  expect(asked).toEqual([
    [8_192, 0],
    [8_192, 8_192],
    [LARGE / 128, 16_384],
  ]);
  for (const { one, read } of [first, second, third]) {
    one.fail();
    expect(await read).toMatchObject({ status: 400 });
  }
  begin(LARGE);
  expect(asked.at(-1)).toEqual([LARGE / 128, 0]);
});
