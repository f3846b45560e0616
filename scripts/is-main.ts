import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Whether the module is the program that was started, also where start.mjs went on with it in its own process (which
 * `import.meta.main` denies).
 */
export function isMain(url: string): boolean {
  const [, program] = process.argv;
  return program !== undefined && realpathSync(program) === fileURLToPath(url);
}
