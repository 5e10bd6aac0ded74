/** The keys that callers bring, as the node knows them and as a gateway asks for them. */

import type { AccountPrefix } from "../domain/account-prefix.ts";

/** Good for the metrics alone, and included in `admin`. */
export const METRICS_SCOPE = "metrics";
/** What a key is good for: of the first three each includes those before it. */
export const SCOPES = ["read", "write", "admin", METRICS_SCOPE] as const;
export type Scope = (typeof SCOPES)[number];

/** A key as it is kept: not the key itself. */
export interface KeyRecord {
  /** Who has it. */
  readonly name: string;
  /** The part of the key by which its record is found, 12 hex digits. */
  readonly id: string;
  readonly scope: Scope;
  /** What the names of its accounts begin with; undefined where it is good for all. */
  readonly account: string | undefined;
  /** 32 hex digits. */
  readonly salt: string;
  /** SHA-256 of the salt's bytes and the secret's text, 64 hex digits. */
  readonly hash: string;
  /** When it was made, as ISO 8601. */
  readonly created: string;
}

/** Who may call: whoever brings one of these keys, or everyone, where no keys are asked for. */
export type KeysInForce = "everyone" | readonly KeyRecord[];

/** Someone who may call. */
export interface Caller {
  readonly scope: Scope;
  /** The accounts that the key is bound to; undefined for all. */
  readonly within: AccountPrefix | undefined;
  /** Whether it was let in once, and may call no more. */
  readonly ended: boolean;
}

export interface Callers {
  /** Who every caller is where no keys are asked for; undefined where one has to be brought. */
  readonly everyone: Caller | undefined;
  /** Who brings the header `Authorization: …`. */
  callerOf(authorization: string | null): Caller | "no key" | "wrong key";
}
