/** The schema, migration by migration. What was once released is never changed: a new one is added. */

import leadership from "./migrations/001_leadership.sql" with { type: "text" };
import balances from "./migrations/002_balances.sql" with { type: "text" };
import roomForBalances from "./migrations/003_room_for_balances.sql" with { type: "text" };
import cheaperStaging from "./migrations/004_cheaper_staging.sql" with { type: "text" };
import generations from "./migrations/005_generations.sql" with { type: "text" };

/** In their order; the first is number 1. */
export const MIGRATIONS: readonly string[] = [
  leadership,
  balances,
  roomForBalances,
  cheaperStaging,
  generations,
];
