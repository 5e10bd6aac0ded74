/** Whose frame a message is, by the origin in it. */

import { expect, test } from "bun:test";
import { buildFrame } from "../../src/wire/frame.ts";
import { FrameOrigins } from "../../src/wire/frame-origins.ts";

const ORIGINS = [7, 9, 11].map((byte) => new Uint8Array(16).fill(byte));

function origins(): FrameOrigins {
  const all = new FrameOrigins();
  expect(ORIGINS.map((origin) => all.add(origin))).toEqual([1, 2, 3]);
  return all;
}

test("a frame is of the gateway whose origin it has, also in a larger buffer", () => {
  const all = origins();
  for (const [place, origin] of ORIGINS.entries()) {
    const frame = buildFrame(origin, 1, []);
    const buffer = new Uint8Array(frame.length + 20).fill(7);
    buffer.set(frame, 9);
    expect(all.gatewayOf(frame)).toBe(place + 1);
    expect(all.gatewayOf(buffer.subarray(9, 9 + frame.length))).toBe(place + 1);
  }
});

test("an origin that differs in any bit is another's", () => {
  const all = origins();
  for (const origin of ORIGINS) {
    for (let bit = 0; bit < 128; bit++) {
      const other = origin.slice();
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(all.gatewayOf(buildFrame(other, 1, []))).toBeUndefined();
    }
  }
  expect(all.gatewayOf(buildFrame(new Uint8Array(16), 0, []))).toBeUndefined();
  expect(new FrameOrigins().gatewayOf(buildFrame(ORIGINS[0] as Uint8Array, 1, []))).toBeUndefined();
});

test("an origin has 128 bits", () => {
  expect(() => new FrameOrigins().add(new Uint8Array(15))).toThrow("an origin of 15 bytes");
});
