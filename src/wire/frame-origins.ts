/**
 * The origins of a node's gateways, by which the engine finds whose frame a message is.
 *
 * Compared as the bytes that they are in the message: nothing is made of an origin per message.
 */

import { ORIGIN_AT, ORIGIN_BYTES } from "./frame.ts";

export class FrameOrigins {
  readonly #origins: Uint8Array[] = [];

  /** Adds a gateway; returns its number on this node, from 1 on. */
  add(origin: Uint8Array): number {
    if (origin.length !== ORIGIN_BYTES) throw new RangeError(`an origin of ${origin.length} bytes`);
    return this.#origins.push(origin);
  }

  /** The number of the gateway that the frame names; undefined if it is none of this node's. */
  gatewayOf(frame: Uint8Array): number | undefined {
    const place = this.#origins.findIndex((origin) => isAt(frame, origin));
    return place < 0 ? undefined : place + 1;
  }
}

function isAt(frame: Uint8Array, origin: Uint8Array): boolean {
  for (let i = 0; i < ORIGIN_BYTES; i++) if (frame[ORIGIN_AT + i] !== origin[i]) return false;
  return true;
}
