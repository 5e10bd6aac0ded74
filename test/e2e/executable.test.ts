/** What the compiled executable carries. */

import { expect, test } from "bun:test";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../tools/harness/processes.ts";

test("the executable has no absolute path of the checkout that it was built in", () => {
  const executable = readFileSync(join(ROOT, "build", "coffer"));
  for (const path of new Set([ROOT, realpathSync(ROOT)]))
    for (const encoding of ["latin1", "utf16le"] as const) {
      const at = executable.indexOf(Buffer.from(path, encoding));
      expect(at < 0 ? "" : executable.subarray(at, at + 200).toString(encoding)).toBe("");
    }
});
