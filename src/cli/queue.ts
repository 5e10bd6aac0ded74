import { connect } from "@nats-io/transport-node";
import { readConfig, WrongSetting } from "../config.ts";
import { endpointOf } from "../queue/nats-endpoint.ts";
import { NodeRegistry } from "../queue/node-registry.ts";
import { type CliCommand, CommandFailed } from "./command.ts";

const SETTINGS = ["natsUrl"] as const;
/** What NATS takes as a key. */
const NAME = /^[\w./=-]+$/;

export const queue: CliCommand = {
  name: "queue",
  usage: "nodes|forget NODE",
  help: "the nodes registered on an outside NATS, each with the message at its mark: up to the lowest the stream is purged",
  settings: SETTINGS,
  async run(args, env) {
    const [action, ...rest] = args;
    const node = action === "forget" ? rest.shift() : undefined;
    if (action !== "nodes" && (action !== "forget" || node === undefined || node.startsWith("-"))) {
      throw new WrongSetting("say nodes, or forget NODE");
    }
    if (node !== undefined && !NAME.test(node))
      throw new WrongSetting("NODE is a name as coffer queue nodes prints it");
    const { natsUrl } = readConfig(SETTINGS, rest, env);
    if (natsUrl === undefined)
      throw new WrongSetting("--nats-url or --nats-url-file is needed: an embedded queue has no other nodes");
    try {
      return await ask(natsUrl, node);
    } catch (error) {
      // Not the URL itself: it may hold a password.
      const why = error instanceof Error ? error.message : String(error);
      throw new CommandFailed(`the server of --nats-url does not answer as it should: ${why}`);
    }
  },
};

/** Lists the nodes, or forgets `node`. */
async function ask(natsUrl: string, node: string | undefined): Promise<number> {
  const connection = await connect({ ...endpointOf(natsUrl), name: "coffer queue", reconnect: false });
  try {
    const registry = await NodeRegistry.find(connection);
    if (node === undefined) {
      for (const [name, sequence] of (await registry?.all()) ?? []) console.log(`${name} ${sequence}`);
      return 0;
    }
    if (await registry?.forget(node)) return 0;
    console.error(`coffer queue: no node ${node} is registered`);
    return 1;
  } finally {
    await connection.close();
  }
}
