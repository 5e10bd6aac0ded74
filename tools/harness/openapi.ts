/** /openapi.json as a gateway publishes it; run as a program it prints it, for the linter. */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Route } from "../../src/gateway/auth.ts";
import { createHttp, type HttpOptions } from "../../src/gateway/http.ts";
import { createRoutes } from "../../src/gateway/routes.ts";
import type { WalletService } from "../../src/gateway/wallet-service.ts";
import type { Caller } from "../../src/ports/keys.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents are looked at field by field
export type Json = any;

/** A gateway of which nothing is asked but its description. */
const options: HttpOptions = {
  maxBodyBytes: 0,
  measure: () => () => {},
  newestSeal: () => undefined,
  maxBodiesBytes: 0,
  unready: () => undefined,
  read: (answer) => answer(),
  metrics: () => Promise.resolve(""),
  isHttp10: () => false,
  failed: (error) => {
    throw error;
  },
  callers: { everyone: undefined, callerOf: () => "no key" },
  secure: false,
};
const wallet = {} as WalletService;

export const ROUTES: readonly Route[] = createRoutes(wallet, options);

/** `caller`: who everyone is where no keys are asked for. */
export async function openApiText(caller?: Caller): Promise<string> {
  const callers = { ...options.callers, everyone: caller };
  const answer = await createHttp(wallet, { ...options, callers }).fetch(
    new Request("http://localhost/openapi.json"),
  );
  if (answer.status !== 200) throw new Error(`/openapi.json is answered with ${answer.status}`);
  return await answer.text();
}

/** The document's schemas, compiled. */
export class OpenApi {
  readonly #ajv = new Ajv2020({
    strictTypes: false,
    validateFormats: false,
    validateSchema: false, // openapi.test.ts does, for all
    keywords: ["components"],
  });
  readonly #compiled = new WeakMap<Json, ValidateFunction>();
  readonly #named = new Map<string, Json>();
  readonly #anyProblem: Json;

  private constructor(readonly document: Json) {
    const names = Object.keys(document.components.schemas).filter((name) => name.endsWith("Problem"));
    this.#anyProblem = { anyOf: names.map((name) => ({ $ref: `#/components/schemas/${name}` })) };
  }

  static #published: Promise<OpenApi> | undefined;

  static published(): Promise<OpenApi> {
    OpenApi.#published ??= openApiText().then((text) => new OpenApi(closed(JSON.parse(text))));
    return OpenApi.#published;
  }

  /** What is wrong with a value by this schema: "" where nothing is. */
  problemsOf(schema: Json, value: unknown): string {
    const validate =
      this.#compiled.get(schema) ?? this.#ajv.compile({ ...schema, components: this.document.components });
    this.#compiled.set(schema, validate);
    return validate(value) ? "" : this.#ajv.errorsText(validate.errors);
  }

  accepts(name: string, value: unknown): boolean {
    return this.problemsOf(this.#schema(name), value) === "";
  }

  /** What is wrong with an answer, by what is said of its route: "" where nothing is. */
  wrongIn(
    method: string,
    path: string,
    answer: { readonly status: number; readonly headers: Headers; readonly text: string },
  ): string {
    const { status, headers, text } = answer;
    const asked = ROUTES.find((route) => matches(route.path, path));
    if (!asked) return this.#wrongBody(this.#anyProblem, text);
    // What is answered to other methods is said of the one that there is.
    const operation = this.document.paths[asked.path.replace(/:(\w+)/g, "{$1}")][asked.method.toLowerCase()];
    const response = operation.responses[status];
    if (!response) return `the status ${status} is not in the document`;
    const type = headers.get("content-type")?.split(";")[0] ?? "";
    const content = response.content[type];
    if (!content) return `the type ${type} is not in the document`;
    for (const [name, header] of Object.entries<Json>(response.headers ?? {})) {
      const value = headers.get(name);
      if (value === null && header.required) return `the header ${name} is missing`;
      const wrong = value === null ? "" : this.problemsOf(header.schema, value);
      if (wrong) return `the header ${name}: ${wrong}`;
    }
    for (const name of ["retry-after", "allow", "idempotent-replayed", "www-authenticate"]) {
      const told = Object.keys(response.headers ?? {}).some((header) => header.toLowerCase() === name);
      if (headers.has(name) && !told) return `the header ${name} is not in the document`;
    }
    if (method === "HEAD") return "";
    return type.endsWith("json")
      ? this.#wrongBody(content.schema, text)
      : this.problemsOf(content.schema, text);
  }

  #schema(name: string): Json {
    const schema = this.#named.get(name) ?? { $ref: `#/components/schemas/${name}` };
    this.#named.set(name, schema);
    return schema;
  }

  #wrongBody(schema: Json, text: string): string {
    return this.problemsOf(schema, JSON.parse(text));
  }
}

/** The same with no room for fields that are not told: for callers there is, later versions may add some. */
function closed(node: Json, name = ""): Json {
  if (Array.isArray(node)) return node.map((item) => closed(item));
  if (typeof node !== "object" || node === null) return node;
  const copy: Json = {};
  for (const [key, value] of Object.entries(node)) copy[key] = closed(value, key);
  // A place that narrows a schema has no type, and what only says that it is an object no properties.
  if (name !== "properties" && copy.type === "object" && copy.properties) copy.additionalProperties ??= false;
  return copy;
}

function matches(route: string, path: string): boolean {
  return new RegExp(`^${route.replace(/:\w+/g, "[^/]+")}$`).test(path.split("?")[0] ?? "");
}

if (import.meta.main) console.log(await openApiText());
