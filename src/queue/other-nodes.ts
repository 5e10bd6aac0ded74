/**
 * What is known of the nodes of a ledger: up to which message of the stream each has logged. A stream that ends
 * before it has lost commands that were acknowledged, and a node that went on would decide others under their
 * numbers: the replicas would fork.
 *
 * | source | what it survives |
 * |---|---|
 * | the registry (node-registry.ts): a node's mark, and the end of its log once it has found its stream lost | the node's end, but not a server that loses the bucket too |
 * | what nodes report on coffer.positions (positions.ts) | a server that loses everything, but not this process's end |
 *
 * Positions are gathered before the stream is looked at: a message was on the stream before a node could log it, so
 * a position beyond the stream's end always is a loss.
 */

export interface NodePosition {
  readonly node: string;
  /** The message of the last command that the node is known to have logged. */
  readonly sequence: number;
}

/** The node that has logged most of the messages after `lastSequence`; undefined if none has logged any. */
export function nodeBeyond(
  positions: Iterable<NodePosition>,
  lastSequence: number,
): NodePosition | undefined {
  let furthest: NodePosition | undefined;
  for (const position of positions) {
    if (position.sequence > (furthest?.sequence ?? lastSequence)) furthest = position;
  }
  return furthest;
}

/** Why a node must not go on. */
export function beyondText({ node, sequence }: NodePosition, lastSequence: number): string {
  return `node ${node} has logged commands up to message ${sequence}, but the stream ends at ${lastSequence}: the stream has lost messages that the node has. Start that node first and follow its error message; if it is permanently lost, coffer queue forget ${node} gives up the commands that only it has`;
}
