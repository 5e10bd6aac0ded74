/** A connection to NATS that sends bytes as they are: messages that no client library sends and nats-server accepts. */

import { connect, type Socket } from "node:net";

export interface RawMessage {
  readonly subject: string;
  readonly reply?: string;
  /** The header block as it is to be stored. */
  readonly head?: Uint8Array | string;
  readonly data?: Uint8Array | string;
}

export class RawNats {
  #received = "";
  #heard: () => void = () => {};
  /** The last error of the server. */
  error: string | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on("data", (chunk) => {
      this.#received += chunk.toString("latin1");
      const error = /^-ERR (.*)\r$/m.exec(this.#received);
      if (error) this.error = error[1];
      if (/^PING\r$/m.test(this.#received)) socket.write("PONG\r\n");
      this.#heard();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.error ??= "closed";
      this.#heard();
    });
  }

  static async open(port: number): Promise<RawNats> {
    const socket = connect(port, "127.0.0.1");
    const raw = new RawNats(socket);
    socket.write(
      'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"raw"}\r\n',
    );
    await raw.flush();
    return raw;
  }

  publish({ subject, reply, head, data = "" }: RawMessage): void {
    const body = Buffer.from(data as Uint8Array);
    const to = reply === undefined ? subject : `${subject} ${reply}`;
    if (head === undefined) {
      this.socket.write(
        Buffer.concat([Buffer.from(`PUB ${to} ${body.length}\r\n`), body, Buffer.from("\r\n")]),
      );
      return;
    }
    const block = Buffer.from(head as Uint8Array);
    const sizes = `${block.length} ${block.length + body.length}`;
    this.socket.write(
      Buffer.concat([Buffer.from(`HPUB ${to} ${sizes}\r\n`), block, body, Buffer.from("\r\n")]),
    );
  }

  /** Resolves when the server has read everything before; throws if it has reported an error. */
  async flush(): Promise<void> {
    this.#received = "";
    this.socket.write("PING\r\n");
    for (;;) {
      if (this.error !== undefined) throw new Error(`nats-server: ${this.error}`);
      if (/^PONG\r$/m.test(this.#received)) return;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
