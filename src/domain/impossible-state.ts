/** The ledger would be in a state that must never be: a bug, or a log that is not one. */
export class ImpossibleState extends Error {
  override readonly name = "ImpossibleState";
}

/** For the default of a switch that handles every case: the compiler refuses it when a case is missing. */
export function unreachable(value: never): never {
  const text = typeof value === "object" ? Object.values(value).join(" ") : String(value);
  throw new ImpossibleState(`impossible state: no code handles the case ${text}`);
}
