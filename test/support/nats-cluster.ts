/** A cluster of three real nats-servers, whose streams have a quorum of two. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { ROOT, TestProcess } from "../../tools/harness/processes.ts";

interface Member {
  readonly config: string;
  readonly port: number;
  process: TestProcess;
}

export class NatsCluster {
  static readonly SERVERS = 3;

  private constructor(private readonly members: readonly Member[]) {}

  static async start(): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: 2 * NatsCluster.SERVERS }, () => freePort()));
    const { SERVERS } = NatsCluster;
    const routes = ports.slice(SERVERS).map((port) => `nats://127.0.0.1:${port}`);
    const members = routes.map((_, index) => {
      const folder = temporaryFolder();
      mkdirSync(folder, { recursive: true });
      const config = join(folder, "server.conf");
      const port = ports[index] as number;
      writeFileSync(
        config,
        `server_name: s${index}
host: 127.0.0.1
port: ${port}
jetstream { store_dir: ${JSON.stringify(folder)}, max_file_store: 8G, sync_interval: always }
cluster { name: coffer, host: 127.0.0.1, port: ${ports[SERVERS + index]}, routes: [${routes.join(", ")}] }
`,
      );
      return { config, port, process: launch(config) };
    });
    const cluster = new NatsCluster(members);
    await Promise.all(members.map((member) => member.process.line(/Server is ready/)));
    await Promise.any(members.map((member) => member.process.line(/JetStream cluster new metadata leader/)));
    return cluster;
  }

  url(index: number): string {
    return `nats://127.0.0.1:${this.members[index]?.port}`;
  }

  connect(index: number): Promise<NatsConnection> {
    return connect({ servers: this.url(index), reconnect: false });
  }

  /** Ends a server at once. */
  async crash(index: number): Promise<void> {
    await this.members[index]?.process.crash();
  }

  async restart(index: number): Promise<void> {
    const member = this.members[index] as Member;
    member.process = launch(member.config);
    await member.process.line(/Server is ready/);
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.crash()));
  }
}

function launch(config: string): TestProcess {
  return new TestProcess(join(ROOT, "build", "tools", "nats-server"), ["-c", config]);
}
