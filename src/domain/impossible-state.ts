/** The ledger would be in a state that must never be: a bug, or a log that is not one. */
export class ImpossibleState extends Error {
  override readonly name = "ImpossibleState";
}
