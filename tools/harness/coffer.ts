/** A real node in a process of its own, under each of the ways in which it can be run. */

import { join } from "node:path";
import { ROOT, TestProcess } from "./processes.ts";
import { WalletClient } from "./wallet-client.ts";

const BIN = join(ROOT, "node_modules", ".bin");
const MAIN = join(ROOT, "src", "main.ts");

export const RUNTIMES = {
  "the compiled executable": [join(ROOT, "build", "coffer")],
  "bun run": [join(BIN, "bun"), "run", MAIN],
  Deno: [join(BIN, "deno"), "run", "-A", "--no-lock", MAIN],
} as const satisfies Record<string, readonly string[]>;

export type RuntimeName = keyof typeof RUNTIMES;
export const RUNTIME_NAMES = Object.keys(RUNTIMES) as RuntimeName[];

/** Runs a coffer command to its end. */
export async function coffer(
  args: readonly string[],
  runtime: RuntimeName = "the compiled executable",
  env: Readonly<Record<string, string>> = {},
) {
  const [command, ...before] = RUNTIMES[runtime];
  const child = new TestProcess(command as string, [...before, ...args], env);
  const code = await child.exited;
  return { code, stdout: child.stdout.join("\n"), stderr: child.stderr.join("\n") };
}

/** Makes a key for a folder, as its user would. */
export async function addKey(data: string, name: string, scope: string, account?: string): Promise<string> {
  const bound = account === undefined ? [] : ["--account", account];
  const { code, stdout, stderr } = await coffer([
    "keys",
    "add",
    name,
    "--scope",
    scope,
    ...bound,
    "--data",
    data,
  ]);
  if (code !== 0) throw new Error(`keys add exited ${code}: ${stderr}`);
  return stdout;
}

export interface ReplayResult {
  readonly events: number;
  readonly commands: number;
  readonly accounts: number;
  readonly transactions: number;
  readonly digest: string;
}

/** What `coffer replay --json` prints. */
export async function replay(
  data: string,
  runtime: RuntimeName = "the compiled executable",
): Promise<ReplayResult> {
  const { code, stdout, stderr } = await coffer(["replay", "--data", data, "--json"], runtime);
  if (code !== 0) throw new Error(`replay exited ${code}: ${stderr}`);
  return JSON.parse(stdout) as ReplayResult;
}

export class CofferNode {
  readonly process: TestProcess;
  client = new WalletClient("http://127.0.0.1:0");

  private constructor(
    readonly data: string,
    process: TestProcess,
  ) {
    this.process = process;
  }

  /** Starts a node on a free port and waits until it is ready. `flags` beyond data and port. */
  static async start(
    data: string,
    {
      runtime = "the compiled executable",
      flags = [],
      env = {},
    }: { runtime?: RuntimeName; flags?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
  ): Promise<CofferNode> {
    const node = CofferNode.launch(data, { runtime, flags, env });
    await node.ready();
    return node;
  }

  /** Starts a node without waiting for anything. */
  static launch(
    data: string,
    {
      runtime = "the compiled executable",
      flags = [],
      env = {},
    }: { runtime?: RuntimeName; flags?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
  ): CofferNode {
    const [command, ...before] = RUNTIMES[runtime];
    const args = [...before, "serve", "--data", data, "--port", "0", "--min-free-bytes", "0", ...flags];
    return new CofferNode(data, new TestProcess(command as string, args, env));
  }

  async ready(): Promise<void> {
    const [, url] = await this.process.line(/^listening on (https?:\/\/\S+)$/);
    this.client = new WalletClient(url as string);
  }

  get url(): string {
    return this.client.url;
  }

  /** The process id of its nats-server. */
  async natsPid(): Promise<number> {
    await this.process.line(/"nats_server_started"/);
    const line = this.process.stderr.findLast((text) => text.includes('"nats_server_started"'));
    return (JSON.parse(line as string) as { pid: number }).pid;
  }

  stop(): Promise<number | string> {
    return this.process.stop();
  }

  crash(): Promise<void> {
    return this.process.crash();
  }
}
