/** The routes as OpenAPI 3.1, with every problem code that each can answer. */

import { isDeepStrictEqual } from "node:util";
import type { GoodAnswer, RouteDescription } from "./descriptions.ts";
import { problemSchema } from "./problem-schemas.ts";
import { type ProblemCode, REJECTED_STATUS, REJECTION_TITLES, statusOf, titleOf } from "./problems.ts";
import { ref, SCHEMAS, type Schema } from "./schemas.ts";

export interface DescribedRoute {
  readonly method: "GET" | "POST";
  /** Its parameters are `:name`. */
  readonly path: string;
  readonly description: RouteDescription;
}

/** What every route may answer: to a malformed Host, to another method, and where it has a bug. */
const EVERYWHERE: readonly ProblemCode[] = ["invalid_request", "method_not_allowed", "internal_error"];

/** What every route may answer where keys are asked for. */
const BEHIND_THE_DOOR: readonly ProblemCode[] = ["unauthorized", "forbidden"];
const CHALLENGE = header("What the request lacks (RFC 6750).", { type: "string", pattern: "^Bearer" }, false);

const KEY = { type: "http", scheme: "bearer", description: "A key created with `coffer keys add`." };

const REPLAYED = header(
  "Present if the id was used before: this is its first outcome.",
  { const: "true" },
  false,
);
const RETRY_AFTER = header("When to retry, in seconds.", { type: "string", pattern: "^[0-9]+$" }, true);
const ACCEPT_ENCODING = header("Present if the body was encoded.", { const: "identity" }, false);
const ALLOW = header("The allowed methods.", { type: "string" }, true);

/** The document, as JSON. `needsKeys`: whether keys are asked for at this node. */
export function openApi(routes: readonly DescribedRoute[], needsKeys: boolean): string {
  const paths: Record<string, Record<string, Schema>> = {};
  const schemas: Record<string, Schema> = { ...SCHEMAS };
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    const operations = paths[path] ?? {};
    paths[path] = operations;
    operations[route.method.toLowerCase()] = operation(route, needsKeys, schemas);
  }
  return textOf({
    openapi: "3.1.0",
    info: {
      title: "Coffer",
      version: "1",
      description:
        "A digital wallet ledger. Amounts are integers in minor units (cents). Every GET operation also supports HEAD.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [],
    paths,
    components: {
      ...(needsKeys && { securitySchemes: { key: KEY } }),
      schemas,
    },
  });
}

/** Adds the schemas of its problems to `schemas`. */
function operation(
  { description }: DescribedRoute,
  needsKeys: boolean,
  schemas: Record<string, Schema>,
): Schema {
  const { admits, operationId, summary, parameters, body, answers } = description;
  const responses: Record<string, Schema> = {};
  for (const [status, answer] of Object.entries(answers)) responses[status] = good(answer);
  for (const [status, codes] of byStatus(description)) {
    const { name, schema } = problemSchema(operationId, status, codes);
    if (schemas[name] && !isDeepStrictEqual(schemas[name], schema))
      throw new TypeError(`two schemas have the name ${name}`);
    schemas[name] = schema;
    responses[status] = problems(status, codes, ref(name));
  }
  return {
    operationId,
    summary,
    ...(needsKeys && admits !== "everyone" && { security: [{ key: [] }] }),
    ...(parameters && {
      parameters: parameters.map((parameter) => ({ ...parameter, required: parameter.in === "path" })),
    }),
    ...(body && { requestBody: { required: true, content: { "application/json": body } } }),
    responses,
  };
}

function good({ description, schema, type = "application/json", repeats }: GoodAnswer): Schema {
  return {
    description,
    ...(repeats && { headers: { "Idempotent-Replayed": REPLAYED } }),
    content: { [type]: { schema } },
  };
}

/** Codes by their status, each with its title. */
function byStatus({ admits, problems, rejections = [] }: RouteDescription): Map<number, Map<string, string>> {
  const found = new Map<number, Map<string, string>>();
  const add = (status: number, code: string, title: string) => {
    const codes = found.get(status) ?? new Map<string, string>();
    found.set(status, codes.set(code, title));
  };
  const atTheDoor = admits === "everyone" ? [] : BEHIND_THE_DOOR;
  for (const code of [...EVERYWHERE, ...atTheDoor, ...problems]) add(statusOf(code), code, titleOf(code));
  for (const code of rejections) add(REJECTED_STATUS, code, REJECTION_TITLES[code]);
  return found;
}

function problems(status: number, codes: ReadonlyMap<string, string>, schema: Schema): Schema {
  const headers: Record<string, Schema> = {};
  if (status === statusOf("method_not_allowed")) headers.Allow = ALLOW;
  if (codes.has("unauthorized") || codes.has("forbidden")) headers["WWW-Authenticate"] = CHALLENGE;
  if (status === statusOf("queue_unavailable")) headers["Retry-After"] = RETRY_AFTER;
  if (codes.has("unsupported_media_type")) headers["Accept-Encoding"] = ACCEPT_ENCODING;
  if (status === REJECTED_STATUS) headers["Idempotent-Replayed"] = REPLAYED;
  return {
    description: [...codes].map(([code, title]) => `\`${code}\`: ${title}.`).join(" "),
    headers,
    content: { "application/problem+json": { schema } },
  };
}

function header(description: string, schema: Schema, required: boolean): Schema {
  return { description, required, schema };
}

/** ES2026, in Bun and in Deno; TypeScript does not know it yet. */
const { rawJSON } = JSON as JSON & { rawJSON(text: string): unknown };

/** JSON, in which a bigint has all its digits. */
function textOf(document: Schema): string {
  return JSON.stringify(document, (_, value) => (typeof value === "bigint" ? rawJSON(String(value)) : value));
}
