/**
 * Why a call has no outcome. Only after OutcomeUnknown may anything have changed; after every other error
 * of this file nothing was changed by the call.
 */

/** What all errors of this package have in common. */
export class CofferError extends Error {
  override readonly name: string = "CofferError";

  /** `transactionId` is the call's id; undefined for reads, and where the call never got one. */
  constructor(
    message: string,
    readonly transactionId?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The call was sent, and until its time limit, or its signal, nobody said what became of it. Call again with
 * this `transactionId` and the same content to learn it: nothing is ever done twice under one id. `cause` is
 * why the last attempt told nothing, or the signal's reason.
 */
export class OutcomeUnknown extends CofferError {
  override readonly name = "OutcomeUnknown";
  declare readonly transactionId: string;
}

/** The id was used before, with other content. */
export class TransactionIdConflict extends CofferError {
  override readonly name = "TransactionIdConflict";
  declare readonly transactionId: string;
}

/** The account is open in this currency, with another initial balance. */
export class AccountExists extends CofferError {
  override readonly name = "AccountExists";
}

/** The call itself is wrong, and will be however often it is made. */
export class InvalidRequest extends CofferError {
  override readonly name = "InvalidRequest";

  /** `path` is a JSON pointer to what is wrong, in the names of the HTTP interface: `/from_account`. */
  constructor(
    message: string,
    readonly path: string,
    transactionId?: string,
  ) {
    super(message, transactionId);
  }
}

/** `maxWaiting` calls have no outcome yet. This one was not sent; make it again later. */
export class Overloaded extends CofferError {
  override readonly name = "Overloaded";
}

/** The time limit was over before anything was sent, or, for a read, before there was an answer. */
export class Unavailable extends CofferError {
  override readonly name = "Unavailable";
}

/** The client was closed before the call. */
export class ClientClosed extends CofferError {
  override readonly name = "ClientClosed";
}

/** The server refused, and not for what the call says: 401, 403, or a URL that is no coffer's. */
export class RequestFailed extends CofferError {
  override readonly name = "RequestFailed";

  /** `code` is that of the problem (RFC 9457) in the answer, where there was one. */
  constructor(
    readonly status: number,
    readonly code: string | undefined,
    transactionId?: string,
  ) {
    super(`the server answered ${status}${code === undefined ? "" : ` ${code}`}`, transactionId);
  }
}
