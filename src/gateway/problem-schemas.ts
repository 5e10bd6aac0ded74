/**
 * Problems as they are published: a flat schema for each status of each route, with the codes that it can have
 * there. Joined by `allOf` from a general one they would be shorter, but generators of clients lose them so.
 */

import { answer, field, listOf, pascalCase, ref, type Schema } from "./schemas.ts";

/** With this name among the document's schemas. */
export interface NamedSchema {
  readonly name: string;
  readonly schema: Schema;
}

/** What some problems have beside what all have. */
const MEMBERS: Readonly<Record<string, Schema>> = {
  transaction_id: field(
    ref("TransactionId"),
    "The id of the command, including one that the server generated.",
    "01a1fd92-8ae7-7500-9f90-15d5f6fc1f29",
  ),
  transaction_ids: field(
    listOf(ref("TransactionId")),
    "The ids of the batch, in order, including those that the server generated.",
    ["01a1fd92-8ae7-7500-9f90-15d5f6fc1f29"],
  ),
  path: field(
    { type: "string" },
    "A JSON pointer (RFC 6901) to the invalid part of the request.",
    "/transfers/3/amount",
  ),
  seq: field(ref("Seq"), "The sequence number of the event that records the rejection.", 5),
  available: field(
    ref("Balance"),
    "With `insufficient_funds`: the current available balance of the payer, which may differ from that at the rejection.",
    15,
  ),
};

/** `codes`: each with its title. Named by its code or, if it may have several, by its operation and status. */
export function problemSchema(
  operationId: string,
  status: number,
  codes: ReadonlyMap<string, string>,
): NamedSchema {
  const [[code, title]] = [...codes] as [[string, string]];
  return {
    name: codes.size === 1 ? `${pascalCase(code)}Problem` : `${pascalCase(operationId)}${status}Problem`,
    schema: {
      description: [...codes].map(([code, title]) => `\`${code}\`: ${title}.`).join(" "),
      ...answer(
        {
          type: field(
            { type: "string", pattern: "^urn:coffer:problem:[a-z_]+$" },
            "The type of the problem: a URN that ends in its code.",
            `urn:coffer:problem:${code}`,
          ),
          title: field({ type: "string" }, "A short summary of the problem type.", title),
          status: field({ type: "integer", const: status }, "The HTTP status of the response.", status),
          detail: field({ type: "string" }, "A human-readable explanation of this problem.", `${title}.`),
          code: field(
            { type: "string", enum: [...codes.keys()] },
            "The machine-readable problem code.",
            code,
          ),
        },
        MEMBERS,
      ),
    },
  };
}
