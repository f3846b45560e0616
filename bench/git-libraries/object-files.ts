/**
 * The file system that isomorphic-git would write objects with. Its own way writes an object in place, trusts a file that is there, and
 * synchronizes nothing; here each object is written beside its place, synchronized and renamed, as git does with `core.fsync`.
 */
import { randomUUID } from "node:crypto";
import { promises } from "node:fs";
import path from "node:path";
import type { PromiseFsClient } from "isomorphic-git";

const OBJECT_FILE = /\/objects\/[0-9a-f]{2}\/[0-9a-f]{38}$/;

/** Writes loose objects and nothing else: refs, index and configuration stay git's. */
export const objectFiles: PromiseFsClient = {
  promises: {
    ...promises,
    // An object that is there is written again: it may be a torn one, and git's gc must not take it for an old one.
    stat: (file: string) => (OBJECT_FILE.test(file) ? Promise.reject(notFound(file)) : promises.stat(file)),
    writeFile: async (file: string, content: Uint8Array) => {
      if (!OBJECT_FILE.test(file)) throw new TypeError(`not the file of an object: ${file}`);
      await writeObjectFile(file, content);
    },
  },
};

async function writeObjectFile(file: string, content: Uint8Array): Promise<void> {
  // The name is git's own for one that is being written: gc removes what a crash left.
  const temporary = path.join(path.dirname(file), `tmp_obj_${randomUUID()}`);
  const handle = await promises.open(temporary, "wx", 0o444);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await promises.rename(temporary, file);
  } catch (error) {
    await promises.rm(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

function notFound(file: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no such file: ${file}`), { code: "ENOENT" });
}
