/** An HTTP server between a client and a node, that answers as a test says: by itself, or what the node says. */

/** What a client asked. */
export interface Asked {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
  /** How many transfers are in it. */
  readonly transfers: number;
}

type Answering = (asked: Asked, forward: () => Promise<Response>) => Response | Promise<Response>;

export class FaultyGateway {
  /** Every request, in the order of their coming. */
  readonly asked: Asked[] = [];
  readonly #server: Bun.Server<undefined>;

  /** `node` is the URL of a node; it may change. */
  constructor(
    public node: string,
    public answering: Answering = (_, forward) => forward(),
  ) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        const body = await request.text();
        const transfers = body.split('"from_account"').length - 1;
        const asked = { path: pathname, headers: request.headers, body, transfers };
        this.asked.push(asked);
        return this.answering(asked, () => {
          const { method, headers } = request;
          return fetch(this.node + pathname + search, method === "POST" ? { method, headers, body } : {});
        });
      },
    });
  }

  get port(): number {
    return this.#server.port as number;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }
}

/** A problem as coffer answers it. */
export function problem(status: number, members: object, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ status, ...members }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
