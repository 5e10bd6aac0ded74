/** Real proxies in front of a node: Debian's nginx and HAProxy, as they come, each in one process of its own. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { RawConnection } from "./raw-http.ts";

/** Debian has its servers outside of the PATH of users. */
const PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`;

export class ReverseProxy {
  private constructor(
    readonly url: string,
    private readonly process: TestProcess,
  ) {}

  /** nginx with nothing but defaults, and `lines` in its only location, of which one has to be the proxy_pass. */
  static async nginx(lines: string): Promise<ReverseProxy> {
    const folder = temporaryFolder();
    const port = await freePort();
    const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `  ${name}_temp_path ${join(folder, name)};`)
      .join("\n");
    const file = join(folder, "nginx.conf");
    writeFileSync(
      file,
      `daemon off;
master_process off;
error_log stderr;
pid ${join(folder, "pid")};
events {}
http {
  access_log off;
${temp}
  server {
    listen 127.0.0.1:${port};
    location / {
${lines}
    }
  }
}
`,
    );
    return ReverseProxy.#start("nginx", ["-p", folder, "-e", "stderr", "-c", file], port);
  }

  /** HAProxy with nothing but defaults in this mode, and `lines` in its backend. */
  static async haproxy(mode: "http" | "tcp", node: string, lines = ""): Promise<ReverseProxy> {
    const port = await freePort();
    const file = join(temporaryFolder(), "haproxy.cfg");
    writeFileSync(
      file,
      `defaults
  mode ${mode}
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen coffer
  bind 127.0.0.1:${port}
  server node ${new URL(node).host}
${lines}
`,
    );
    return ReverseProxy.#start("haproxy", ["-db", "-f", file], port);
  }

  static async #start(command: string, args: readonly string[], port: number): Promise<ReverseProxy> {
    const child = new TestProcess(command, args, { PATH });
    const url = `http://127.0.0.1:${port}`;
    const listens = eventually(`${command} listens`, async () => {
      const connection = await RawConnection.open(url).catch(() => undefined);
      connection?.cut();
      return connection !== undefined;
    });
    const ended = await Promise.race([listens, child.exited]);
    if (ended !== undefined) throw new Error(`${command} ended (${ended}): ${child.stderr.join("\n")}`);
    return new ReverseProxy(url, child);
  }

  stop(): Promise<number | string> {
    return this.process.stop();
  }
}
