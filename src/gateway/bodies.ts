/**
 * Reads the bodies of requests. What is large is counted while it is under way, and has a time to come in;
 * what is small is bounded by the number of connections, so that nobody's batches shut it out.
 */

import type { Answer } from "../ports/answer.ts";
import { MAX_BATCH_TRANSFERS } from "../wire/requests.ts";
import { problem } from "./problems.ts";

/** Bodies up to this size count for nothing. */
export const SMALL_BODY_BYTES = 16 << 10;
/** What a transfer in a batch takes, as most are written. */
const COMMAND_BYTES = 128;
/** A large body that has not come by then is cut. */
const BODY_TIMEOUT_MS = 30_000;

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** What large bodies that are under way may take together. */
  readonly maxBodiesBytes: number;
}

const EMPTY = new Uint8Array();

export class Bodies {
  /** Of large bodies under way: what they take, or have announced. */
  #bytes = 0;
  /** The most commands that they may bring. */
  #commands = 0;

  constructor(
    private readonly limits: BodyLimits,
    private readonly timeoutMs = BODY_TIMEOUT_MS,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The whole body, or why there is none. A length that is announced is believed, and enforced by the server.
   * `busy` tells why so many commands more are refused just now, behind `others`. A large body is not read where
   * those that it may bring, behind those that are being read, would only be refused then.
   */
  async read(
    request: Request,
    busy: (commands: number, others: number) => string | undefined,
  ): Promise<Uint8Array | Answer> {
    const announced = Number(request.headers.get("content-length") ?? Number.NaN);
    if (announced > this.limits.maxBodyBytes) return this.#tooLarge();
    try {
      if (announced <= SMALL_BODY_BYTES) return new Uint8Array(await request.arrayBuffer());
      const why = announced > SMALL_BODY_BYTES ? busy(commandsIn(announced), this.#commands) : undefined;
      if (why !== undefined) return problem("overloaded", why);
      return request.body ? await this.#readLarge(request, announced) : EMPTY;
    } catch {
      // Only the connection can fail here, and with it goes whoever would read more.
      return problem("invalid_request", "The request body was truncated.", { path: "" });
    }
  }

  async #readLarge(request: Request, announced: number): Promise<Uint8Array | Answer> {
    const share = { bytes: 0 };
    const late = Promise.withResolvers<Answer>();
    const timer = setTimeout(
      () =>
        late.resolve(
          problem("body_too_slow", `The body was not received within ${this.timeoutMs / 1_000} seconds.`),
        ),
      this.timeoutMs,
    );
    const reading = this.#whole(request, announced, share);
    try {
      return await Promise.race([reading, late.promise]);
    } finally {
      clearTimeout(timer);
      // Of one that is late: it fails when its connection is cut.
      reading.catch(() => {});
      this.#bytes -= share.bytes;
      this.#commands -= commandsIn(share.bytes);
      share.bytes = Number.NaN;
    }
  }

  async #whole(request: Request, announced: number, share: { bytes: number }): Promise<Uint8Array | Answer> {
    if (!Number.isNaN(announced)) {
      if (!this.#take(share, announced)) return this.#tooMany();
      return new Uint8Array(await request.arrayBuffer());
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of request.body as ReadableStream<Uint8Array>) {
      length += chunk.length;
      if (length > this.limits.maxBodyBytes) return this.#tooLarge();
      if (length > SMALL_BODY_BYTES && !this.#take(share, length)) return this.#tooMany();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }

  /** Makes a body's share this large; false where there is no room, or where it was given up. */
  #take(share: { bytes: number }, bytes: number): boolean {
    const more = bytes - share.bytes;
    if (!(this.#bytes + more <= this.limits.maxBodiesBytes)) return false;
    this.#bytes += more;
    this.#commands += commandsIn(bytes) - commandsIn(share.bytes);
    share.bytes = bytes;
    return true;
  }

  #tooLarge(): Answer {
    return problem("body_too_large", `The body exceeds the limit of ${this.limits.maxBodyBytes} bytes.`);
  }

  #tooMany(): Answer {
    return problem("overloaded", `The server is receiving ${this.#bytes} bytes of large request bodies.`);
  }
}

/** The most commands that so large a body may bring, as most are written. */
function commandsIn(bytes: number): number {
  return Math.min(Math.ceil(bytes / COMMAND_BYTES), MAX_BATCH_TRANSFERS);
}
