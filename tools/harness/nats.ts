/** A real nats-server, as an outside one that nodes are pointed at. */

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { ROOT, TestProcess } from "./processes.ts";

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below the range from which the system takes the ports of connections: nobody else draws one here.
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

export interface NatsServerOptions {
  /** The largest message that the server takes, in bytes. */
  readonly maxPayload?: number;
}

export class NatsServer {
  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly options: NatsServerOptions,
    public process: TestProcess,
  ) {}

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts a server with JetStream on `folder`; on `port` where one is given. */
  static async start(folder: string, port?: number, options: NatsServerOptions = {}): Promise<NatsServer> {
    const on = port ?? (await freePort());
    const server = new NatsServer(folder, on, options, launch(folder, on, options));
    await server.process.line(/Server is ready/);
    return server;
  }

  /** Starts it again, on the same port and, unless told otherwise, the same folder. */
  async restart(folder = this.folder): Promise<NatsServer> {
    return await NatsServer.start(folder, this.port, this.options);
  }

  crash(): Promise<void> {
    return this.process.crash();
  }

  stop(): Promise<number | string> {
    return this.process.stop();
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: this.url, reconnect: false });
  }
}

function launch(folder: string, port: number, { maxPayload = 1 << 20 }: NatsServerOptions): TestProcess {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "server.conf");
  writeFileSync(
    config,
    `host: 127.0.0.1\nport: ${port}\nmax_payload: ${maxPayload}\njetstream { store_dir: ${JSON.stringify(folder)}, max_file_store: 8G, sync_interval: always }\n`,
  );
  return new TestProcess(join(ROOT, "build", "tools", "nats-server"), ["-c", config]);
}
