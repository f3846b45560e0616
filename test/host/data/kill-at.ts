/**
 * Moves data between a machine and the attic, and is killed before its n-th change of the file system:
 * `node kill-at.js <directory> <n> move|aside|restore|purge [entry]`. Says `done` when it came to its end.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { moveDataToAttic, moveDisksToAttic } from "../../../src/host/data/move-to-attic.ts";
import { purgeAttic } from "../../../src/host/data/purge-attic.ts";
import { restoreFromAttic } from "../../../src/host/data/restore-from-attic.ts";

const [directory = "", at = "0", what = "", entry = ""] = process.argv.slice(2);
const folders = { directory, runDirectory: `${directory}/run`, secretsDirectory: `${directory}/secrets` };
const id = { networkId: "n", component: "w" };
const note = { command: "remove n.cvl", site: null };

const CHANGES = ["mkdir", "rename", "rm", "rmdir", "unlink", "chmod", "open"] as const;
let changes = 0;
for (const name of CHANGES) {
  const real = fs.promises[name] as (...values: unknown[]) => Promise<unknown>;
  Object.assign(fs.promises, {
    [name]: (...values: unknown[]): Promise<unknown> => {
      const isReading = name === "open" && (values[1] ?? "r") === "r";
      if (!isReading && changes++ === Number(at)) process.kill(process.pid, "SIGKILL");
      return real(...values);
    },
  });
}
syncBuiltinESMExports();

if (what === "move") await moveDataToAttic(folders, id, note);
if (what === "aside") await moveDisksToAttic(folders, id, { devices: ["vdb"], note });
if (what === "restore") await restoreFromAttic(folders, id, { entry, device: "vdb", site: null, note });
if (what === "purge")
  await purgeAttic(folders, { entries: [entry], site: null, inTurn: (_, task) => task() });
console.log("done");
