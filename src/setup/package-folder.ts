/** Folders of the installed package that lie beside its code: `templates`, `hooks`. */
import { access } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The folder `name` that holds `file`; undefined when it is not there. The bundled command lies in `dist/` or `dist/chunks/`, a
 * test in `build/`, the folder beside those.
 */
export async function packageFolder(name: string, file: string): Promise<string | undefined> {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (let level = 0; level < 5; level += 1, folder = path.dirname(folder)) {
    const candidate = path.join(folder, name);
    const isThere = await access(path.join(candidate, file)).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return undefined;
}
