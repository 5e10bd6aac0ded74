/**
 * What an error of JetStream says about the frame that it answers: the stream does not have it and never will
 * ("refused"), or nothing certain ("unknown").
 *
 * From the sources of nats-server 2.15.2: `queueInbound`, `processJetStreamMsg` (one replica) and
 * `processClusteredInboundMsg` with `checkMsgHeadersPreClusteredProposal` (more of them). A replicated stream
 * checks a message first, proposes it to its replicas, and stores it once they agree. An error before
 * the proposal is certain. An error after it is not: the replicas that agreed store the message all the same,
 * also when the leader's own copy failed.
 *
 * | code | error of JetStream | where | |
 * |---|---|---|---|
 * | 10002 | AccountResourcesExceeded | before | refused |
 * | 10023 | InsufficientResources | before | refused |
 * | 10054 | StreamMessageExceedsMaximum | before | refused |
 * | 10060 | StreamNotMatch: `Nats-Expected-Stream` | before | refused |
 * | 10071, 10164 | StreamWrongLastSequence: `Nats-Expected-Last-Sequence` | before | refused |
 * | 10070 | StreamWrongLastMsgID: `Nats-Expected-Last-Msg-Id` | after | unknown |
 * | 10077 | StreamStoreFailed: a limit of the stream, or a message beyond any store | before | refused |
 * | 10077 | StreamStoreFailed: anything else, as a store that is closed | after | unknown |
 * | 10063 | StreamSequenceNotMatch: this replica is not where the others are | after | unknown |
 * | 10097 | StreamHeaderExceedsMaximum | before | refused |
 * | 10109 | StreamSealed | before | refused |
 * | 10111 | StreamRollupFailed | before | refused |
 * | 10120 | NoLimits: no tier of the account covers the stream | before | refused |
 * | 10158 | StreamDuplicateMessageConflict: one of this id is proposed, and not stored yet | before | unknown |
 * | 10165 | MessageTTLInvalid | either | unknown |
 * | 10166 | MessageTTLDisabled | before | refused |
 * | 10167 | StreamTooManyRequests: the stream's own queue is full | before | refused |
 * | 10168 … 10172 | MessageIncr…, MessageCounterBroken | before | refused |
 * | 10188 … 10192, 10203, 10212, 10223 | MessageSchedules… | before | refused |
 * | 10193 | StreamExpectedLastSeqPerSubjectInvalid | before | refused |
 * | 10227 | MessageSourceHdrNotAllowed | before | refused |
 * | 10174 … 10179, 10199 … 10201, 10205 … 10211 | of batches that the server publishes as one; no frame is in one | | unknown |
 * | any other, none, or one that is no number | from another version, or not from a server | | unknown |
 *
 * After an I/O error of the store there is no answer at all, which is unknown too, as is an answer that cannot be
 * parsed. Status 503 without a body means that nothing has subscribed to the subject, so that no stream received
 * the frame: refused.
 */

const REFUSED: ReadonlySet<number> = new Set([
  10_002, 10_023, 10_054, 10_060, 10_071, 10_097, 10_109, 10_111, 10_120, 10_164, 10_166, 10_167, 10_168,
  10_169, 10_170, 10_171, 10_172, 10_188, 10_189, 10_190, 10_191, 10_192, 10_193, 10_203, 10_212, 10_223,
  10_227,
]);

/** JSStreamStoreFailed: its description is the error of the store. */
const STORE_FAILED = 10_077;
/** Errors of the stream's limits, which are checked before a message is proposed. */
const STORE_LIMITS: ReadonlySet<string> = new Set([
  "maximum messages exceeded",
  "maximum bytes exceeded",
  "maximum messages per subject exceeded",
  "message too large",
]);

/** The `error` of a publish acknowledgement; its fields are not checked yet. */
export interface PublishError {
  readonly err_code?: unknown;
  readonly description?: unknown;
}

export function verdictOf({ err_code: code, description }: PublishError): "refused" | "unknown" {
  if (typeof code !== "number") return "unknown";
  if (code === STORE_FAILED)
    return typeof description === "string" && STORE_LIMITS.has(description) ? "refused" : "unknown";
  return REFUSED.has(code) ? "refused" : "unknown";
}
