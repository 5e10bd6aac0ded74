/**
 * Which nodes read the stream, and up to where the log of each is marked: messages are purged only before
 * the lowest. A JetStream KV bucket, `COFFER_NODES`; `coffer queue forget NODE` takes one out.
 */

import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";

const BUCKET = "COFFER_NODES";

export class NodeRegistry {
  private constructor(private readonly bucket: Awaited<ReturnType<Kvm["create"]>>) {}

  static async open(connection: NatsConnection, replicas: number): Promise<NodeRegistry> {
    return new NodeRegistry(await new Kvm(connection).create(BUCKET, { replicas }));
  }

  /** Undefined where no node was ever registered. Changes nothing. */
  static async find(connection: NatsConnection): Promise<NodeRegistry | undefined> {
    const kvm = new Kvm(connection);
    for await (const { bucket } of kvm.list()) {
      if (bucket === BUCKET) return new NodeRegistry(await kvm.open(BUCKET));
    }
    return undefined;
  }

  async has(node: string): Promise<boolean> {
    return (await this.bucket.get(node))?.operation === "PUT";
  }

  /** `sequence`: the message of the command at the node's mark; 0 for none. */
  async tell(node: string, sequence: number): Promise<void> {
    await this.bucket.put(node, String(sequence));
  }

  async all(): Promise<Map<string, number>> {
    const nodes = new Map<string, number>();
    for await (const node of await this.bucket.keys()) {
      const entry = await this.bucket.get(node);
      if (entry && entry.operation === "PUT") nodes.set(node, sequenceOf(entry.string()));
    }
    return nodes;
  }

  /** Returns false where no such node is registered. */
  async forget(node: string): Promise<boolean> {
    if (!(await this.has(node))) return false;
    await this.bucket.purge(node);
    return true;
  }
}

/** Others may write to the bucket: what is no number keeps every message. */
function sequenceOf(text: string): number {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}
