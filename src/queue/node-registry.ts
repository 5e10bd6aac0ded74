/**
 * Which nodes read the stream, and up to where the log of each is marked: messages are purged only before
 * the lowest. A JetStream KV bucket, `COFFER_NODES`; `coffer queue forget NODE` takes one out.
 *
 * It is read through the API of its stream, which returns stored headers as base64 text. The KV client would
 * decode them inside the connection's parser (inbound.ts).
 */

import {
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StoredMsg,
} from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { readHeaders } from "./inbound.ts";

const BUCKET = "COFFER_NODES";
/** Where NATS keeps a bucket, and the subject of a key. */
const STREAM = `KV_${BUCKET}`;
const PREFIX = `$KV.${BUCKET}.`;
const STREAM_NOT_FOUND = 10_059;

export class NodeRegistry {
  private constructor(private readonly jsm: JetStreamManager) {}

  static async open(connection: NatsConnection, replicas: number): Promise<NodeRegistry> {
    await new Kvm(connection).create(BUCKET, { replicas });
    return new NodeRegistry(await jetstreamManager(connection));
  }

  /** Undefined where no node was ever registered. Changes nothing. */
  static async find(connection: NatsConnection): Promise<NodeRegistry | undefined> {
    const jsm = await jetstreamManager(connection);
    try {
      await jsm.streams.info(STREAM);
      return new NodeRegistry(jsm);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
      throw error;
    }
  }

  async has(node: string): Promise<boolean> {
    return (await this.#entry(PREFIX + node)) !== undefined;
  }

  /** `sequence`: the message of the command at the node's mark; 0 for none. */
  async tell(node: string, sequence: number): Promise<void> {
    await this.jsm.jetstream().publish(PREFIX + node, String(sequence));
  }

  async all(): Promise<Map<string, number>> {
    const { state } = await this.jsm.streams.info(STREAM, { subjects_filter: `${PREFIX}>` });
    const nodes = new Map<string, number>();
    for (const subject of Object.keys(state.subjects ?? {})) {
      const entry = await this.#entry(subject);
      if (entry) nodes.set(subject.slice(PREFIX.length), sequenceOf(entry.string()));
    }
    return nodes;
  }

  /** Returns false where no such node is registered. */
  async forget(node: string): Promise<boolean> {
    if (!(await this.has(node))) return false;
    await this.jsm.streams.purge(STREAM, { filter: PREFIX + node });
    return true;
  }

  /** The last message of a key; undefined if there is none, or if it deletes the key. */
  async #entry(subject: string): Promise<StoredMsg | undefined> {
    const entry = await this.jsm.streams.getMessage(STREAM, { last_by_subj: subject });
    if (!entry) return undefined;
    // Deletion markers of other versions of coffer and of KV clients. Headers that cannot be decoded are none.
    const headers = readHeaders(() => entry.header);
    return headers?.has("KV-Operation") || headers?.has("Nats-Marker-Reason") ? undefined : entry;
  }
}

/** Others may write to the bucket: what is no number keeps every message. */
function sequenceOf(text: string): number {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}
