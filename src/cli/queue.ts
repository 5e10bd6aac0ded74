import { connect } from "@nats-io/transport-node";
import { readConfig, WrongSetting } from "../config.ts";
import { NodeRegistry } from "../queue/node-registry.ts";
import type { CliCommand } from "./cli.ts";

const SETTINGS = ["natsUrl", "streamReplicas"] as const;

export const queue: CliCommand = {
  name: "queue",
  usage: "nodes|forget NODE",
  help: "the nodes registered on an outside NATS, up to whose marks its messages are kept",
  settings: SETTINGS,
  async run(args, env) {
    const [action, ...rest] = args;
    const node = action === "forget" ? rest.shift() : undefined;
    if (action !== "nodes" && (action !== "forget" || node === undefined || node.startsWith("-"))) {
      throw new WrongSetting("say nodes, or forget NODE");
    }
    const { natsUrl, streamReplicas } = readConfig(SETTINGS, rest, env);
    if (natsUrl === undefined)
      throw new WrongSetting("--nats-url is needed: a queue of its own has no other nodes");
    const connection = await connect({ servers: natsUrl.split(","), name: "coffer queue", reconnect: false });
    try {
      const registry = await NodeRegistry.open(connection, streamReplicas);
      if (node === undefined) {
        for (const [name, sequence] of await registry.all()) console.log(`${name} ${sequence}`);
        return 0;
      }
      if (await registry.forget(node)) return 0;
      console.error(`coffer queue: no node ${node} is registered`);
      return 1;
    } finally {
      await connection.close();
    }
  },
};
