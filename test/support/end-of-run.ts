/**
 * Ends and removes what tests left behind: at the end of each file in `make test`, of the run elsewhere. Preloaded
 * by bunfig.toml: an afterAll in a module that many test files import runs only at the end of the first of them.
 */

import { afterAll } from "bun:test";
import { removeTemporaryFolders } from "../../tools/harness/folders.ts";
import { crashPostgresServers } from "../../tools/harness/postgres.ts";
import { endTestProcesses } from "../../tools/harness/processes.ts";

afterAll(async () => {
  await crashPostgresServers();
  await endTestProcesses();
  removeTemporaryFolders();
});
