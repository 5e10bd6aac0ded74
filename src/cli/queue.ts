import { jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { endpointOf } from "../queue/nats-endpoint.ts";
import { STREAM, SUBJECT } from "../queue/nats-session.ts";
import { NodeRegistry } from "../queue/node-registry.ts";
import { hearPositions } from "../queue/positions.ts";
import { type CliCommand, CommandFailed } from "./command.ts";
import { readConfig, WrongSetting } from "./read-config.ts";

const SETTINGS = ["natsUrl"] as const;
/** What NATS takes as a key. */
const NAME = /^[\w./=-]+$/;

export const queue: CliCommand = {
  name: "queue",
  usage: "nodes|forget NODE",
  help: [
    "manages the nodes registered on an external NATS: nodes lists each with its mark, a message number",
    "(the stream is purged up to the lowest), and the number that it reports now; forget removes one",
  ].join("\n"),
  settings: SETTINGS,
  async run(args, env) {
    const [action, ...rest] = args;
    const node = action === "forget" ? rest.shift() : undefined;
    if (action !== "nodes" && (action !== "forget" || node === undefined || node.startsWith("-"))) {
      throw new WrongSetting("expected nodes, or forget NODE");
    }
    if (node !== undefined && !NAME.test(node))
      throw new WrongSetting("NODE must be a name as printed by coffer queue nodes");
    const { natsUrl } = readConfig(SETTINGS, rest, env);
    if (natsUrl === undefined)
      throw new WrongSetting(
        "--nats-url or --nats-url-file is required: an embedded queue has no other nodes",
      );
    try {
      return await ask(natsUrl, node);
    } catch (error) {
      // Not the URL itself: it may hold a password.
      const why = error instanceof Error ? error.message : String(error);
      throw new CommandFailed(`the request to the server of --nats-url failed: ${why}`);
    }
  },
};

/** Lists the nodes, or forgets `node`. */
async function ask(natsUrl: string, node: string | undefined): Promise<number> {
  const connection = await connect({ ...endpointOf(natsUrl), name: "coffer queue", reconnect: false });
  try {
    const registry = await NodeRegistry.find(connection);
    if (node === undefined) {
      await list(connection, (await registry?.all()) ?? new Map());
      return 0;
    }
    if (await registry?.forget(node)) return 0;
    console.error(`coffer queue: no node ${node} is registered`);
    return 1;
  } finally {
    await connection.close();
  }
}

/** What is needed to decide which nodes may be forgotten, and which has the longest log. */
async function list(connection: NatsConnection, marks: ReadonlyMap<string, number>): Promise<void> {
  if (marks.size === 0) return;
  const reported = await hearPositions(connection, marks.keys());
  // After the positions: what is beyond its end then is lost.
  const stream = await streamOf(connection);
  const rows = [...marks].map(([node, mark]) => {
    const reports = reported.get(node);
    const isBeyond = Math.max(mark, reports ?? 0) > (stream?.state.last_seq ?? 0);
    const remark = isBeyond ? "has logged messages that the stream has lost" : "";
    return [node, String(mark), reports === undefined ? "silent" : String(reports), remark];
  });
  const table = [["NODE", "MARK", "REPORTS", ""], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => (row[column] ?? "").length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  if (!stream) console.log(`the stream ${STREAM} does not exist`);
  else {
    const { first_seq, last_seq } = stream.state;
    console.log(
      `the stream ${STREAM} starts at message ${first_seq} and ends at ${last_seq}; replicas: ${stream.config.num_replicas}`,
    );
  }
}

async function streamOf(connection: NatsConnection): Promise<StreamInfo | undefined> {
  const manager = await jetstreamManager(connection);
  for await (const info of manager.streams.list(SUBJECT)) if (info.config.name === STREAM) return info;
  return undefined;
}
