/** A TCP proxy between a node and a server, that can hold back bytes and cut connections. */

import { createServer, connect as dial, type Server, type Socket } from "node:net";

interface Pair {
  /** Of whoever has connected here. */
  readonly near: Socket;
  /** To the server. */
  readonly far: Socket;
}

export class TcpProxy {
  readonly #pairs = new Set<Pair>();

  private constructor(
    private readonly listener: Server,
    readonly port: number,
  ) {}

  static async start(targetPort: number): Promise<TcpProxy> {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const proxy = new TcpProxy(listener, address.port);
    listener.on("connection", (near) => proxy.#join(near, dial(targetPort, "127.0.0.1")));
    return proxy;
  }

  #join(near: Socket, far: Socket): void {
    const pair: Pair = { near, far };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to);
      from.on("error", () => {}); // its other side is told by close
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  /** From now on nothing that the server says arrives over the connections that there are. */
  holdAnswers(): void {
    for (const { near, far } of this.#pairs) {
      far.unpipe(near);
      far.pause();
    }
  }

  /** From now on nothing reaches the server over the connections that there are. */
  holdRequests(): void {
    for (const { near, far } of this.#pairs) {
      near.unpipe(far);
      near.pause();
    }
  }

  /** Ends the connections that there are; what is held back is lost. New ones may come. */
  cut(): void {
    for (const { near, far } of [...this.#pairs]) {
      near.destroy();
      far.destroy();
    }
  }

  /** As cut(), when the server says something next. */
  cutAtAnswer(): void {
    for (const { far } of this.#pairs) far.once("data", () => this.cut());
  }

  stop(): void {
    this.listener.close();
    this.cut();
  }
}
