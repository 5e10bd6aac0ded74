/** HTTP over plain TCP: sends what fetch would refuse to send, and sees what becomes of the connection. */

import { connect, type Socket } from "node:net";

const DEADLINE_MS = 30_000;

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as it was sent. */
  readonly text: string;
}

export interface RawRequest {
  readonly method?: string;
  /** As it stands in the request line, escaped or not. */
  readonly target: string;
  /** Beyond Host and Content-Length; one of those names replaces the usual one, "" leaves it out. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  readonly version?: "1.0" | "1.1";
}

/** One connection; answers are read in the order of the requests. */
export class RawConnection {
  #received = Buffer.alloc(0);
  #ended = false;
  #changed: () => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.on("data", (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#changed();
    });
    const end = () => {
      this.#ended = true;
      this.#changed();
    };
    socket.on("error", end).on("close", end).on("end", end);
  }

  /** Connects to the host and port of `url`. */
  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    return new RawConnection(socket);
  }

  /** Resolves when the bytes have left; false where the other side has closed. */
  async send(bytes: string | Uint8Array): Promise<boolean> {
    if (this.#ended) return false;
    return await new Promise((resolve) => {
      this.#changed = () => this.#ended && resolve(false);
      this.socket.write(bytes, (error) => resolve(!error));
    });
  }

  /** The next answer, interim ones (1xx) left out; undefined where the connection ended without one. */
  async answer(toHead = false): Promise<RawAnswer | undefined> {
    for (const until = performance.now() + DEADLINE_MS; ; ) {
      const answer = this.#take(toHead);
      if (answer || this.#ended) return answer;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("no answer came")), until - performance.now());
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Cuts the connection. */
  cut(): void {
    this.socket.destroy();
  }

  #take(toHead: boolean): RawAnswer | undefined {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first, ...lines] = this.#received.toString("latin1", 0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(first ?? "")?.[1]);
    const headers = new Headers();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const length = toHead || status < 200 ? 0 : Number(headers.get("content-length") ?? 0);
    const from = end + 4;
    if (this.#received.length < from + length) return undefined;
    const text = this.#received.toString("utf8", from, from + length);
    this.#received = this.#received.subarray(from + length);
    return status < 200 ? this.#take(toHead) : { status, headers, text };
  }
}

/** The bytes of a request. */
export function requestBytes({
  method = "POST",
  target,
  headers = [],
  body,
  version = "1.1",
}: RawRequest): Uint8Array {
  const payload = typeof body === "string" ? Buffer.from(body) : (body ?? Buffer.alloc(0));
  const usual: [string, string][] = [["Host", "localhost"]];
  if (body !== undefined) usual.push(["Content-Length", String(payload.length)]);
  const lines = usual.filter(
    ([name]) => !headers.some(([other]) => other.toLowerCase() === name.toLowerCase()),
  );
  for (const [name, value] of headers) if (value !== "") lines.push([name, value]);
  const head = `${method} ${target} HTTP/${version}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), payload]);
}

/** One request on a connection of its own; undefined where the connection was closed without an answer. */
export async function rawRequest(url: string, request: RawRequest): Promise<RawAnswer | undefined> {
  const connection = await RawConnection.open(url);
  try {
    await connection.send(requestBytes(request));
    return await connection.answer(request.method === "HEAD");
  } finally {
    connection.cut();
  }
}
