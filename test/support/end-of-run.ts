/**
 * Ends and removes what tests left behind: at the end of each file in `make test`, of the run elsewhere. Preloaded
 * by bunfig.toml: an afterAll in a module that many test files import runs only at the end of the first of them.
 */

import { afterAll } from "bun:test";
import { removeTemporaryFolders } from "./folders.ts";
import { crashPostgresServers } from "./postgres.ts";
import { endTestProcesses } from "./processes.ts";

afterAll(async () => {
  await crashPostgresServers();
  await endTestProcesses();
  removeTemporaryFolders();
});
