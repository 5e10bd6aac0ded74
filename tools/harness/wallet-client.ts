/** A plain HTTP client of the wallet, to which no answer is right that is not in /openapi.json. */

import { OpenApi } from "./openapi.ts";

export interface WalletAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as it was sent. */
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at answers field by field
  readonly body: any;
}

export interface TransferRequest {
  transaction_id?: string;
  from_account: string;
  to_account: string;
  amount: number | string;
  currency?: string;
}

export interface ClientOptions {
  /** Sent with every request. */
  readonly key?: string;
  /** The certificate that is trusted, as PEM. */
  readonly ca?: string;
}

export class WalletClient {
  readonly #headers: Readonly<Record<string, string>>;
  readonly #tls: object;

  constructor(
    readonly url: string,
    { key, ca }: ClientOptions = {},
  ) {
    this.#headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    this.#tls = ca === undefined ? {} : { tls: { ca } };
  }

  async get(path: string): Promise<WalletAnswer> {
    return read("GET", path, await fetch(this.url + path, { headers: this.#headers, ...this.#tls }));
  }

  /** Sends `body` as it is where it is text or bytes, as JSON otherwise. */
  async post(
    path: string,
    body: unknown,
    headers: Record<string, string> = { "content-type": "application/json" },
  ): Promise<WalletAnswer> {
    const payload = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
    return read(
      "POST",
      path,
      await fetch(this.url + path, {
        method: "POST",
        headers: { ...this.#headers, ...headers },
        ...this.#tls,
        body: payload as NonNullable<RequestInit["body"]>,
      }),
    );
  }

  transfer(request: TransferRequest): Promise<WalletAnswer> {
    return this.post("/v1/wallet/transfer", request);
  }

  transfers(transfers: readonly TransferRequest[]): Promise<WalletAnswer> {
    return this.post("/v1/wallet/transfers", { transfers });
  }

  open(account_id: string, initial_balance: number | string = 0, more: object = {}): Promise<WalletAnswer> {
    return this.post("/v1/wallet/accounts", { account_id, initial_balance, ...more });
  }

  deposit(account_id: string, amount: number | string, more: object = {}): Promise<WalletAnswer> {
    return this.post("/v1/wallet/deposit", { account_id, amount, ...more });
  }

  withdraw(account_id: string, amount: number | string, more: object = {}): Promise<WalletAnswer> {
    return this.post("/v1/wallet/withdraw", { account_id, amount, ...more });
  }

  async balance(account_id: string): Promise<number> {
    const answer = await this.get(`/v1/wallet/balance/${encodeURIComponent(account_id)}`);
    if (answer.status !== 200) throw new Error(`balance of ${account_id}: ${answer.text}`);
    return answer.body.balance;
  }

  async ledger(): Promise<WalletAnswer["body"]> {
    return (await this.get("/v1/ledger")).body;
  }
}

async function read(method: string, path: string, response: Response): Promise<WalletAnswer> {
  const text = await response.text();
  const { status, headers } = response;
  const wrong = (await OpenApi.published()).wrongIn(method, path, { status, headers, text });
  if (wrong) throw new Error(`${method} ${path}: ${status} ${text}: ${wrong}`);
  let body: unknown;
  try {
    body = text === "" ? undefined : JSON.parse(text);
  } catch {
    body = undefined;
  }
  return { status, headers, text, body };
}
