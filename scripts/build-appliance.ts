// Makes an appliance from a template and builds its program disk: what the quickstart and the tests start from.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";

/** The project's folder: of this file, or of a test bundled into build/. */
const root = findRoot(import.meta.dirname);

/** What buildAppliance makes, where, and under which name. */
export interface BuildOptions {
  readonly template: string;
  /** Made by `cui init` where it has no build.sh yet. */
  readonly directory: string;
  readonly name?: string;
  /** Written to the file VERSION, which the web template bakes in. */
  readonly version?: string | number;
}

/** Milliseconds. */
export interface BuildTimes {
  readonly initMs: number;
  readonly buildMs: number;
}

/**
 * `cui init` where the folder is new, VERSION where a version is given, then `sh build.sh`.
 * Resolves to how long each took; rejects with the output of what failed.
 */
export async function buildAppliance({
  template,
  directory,
  name,
  version,
}: BuildOptions): Promise<BuildTimes> {
  const startedAt = performance.now();
  if (!existsSync(path.join(directory, "build.sh"))) {
    const named = name === undefined ? [] : ["--name", name];
    await runProgram(process.execPath, [
      path.join(root, "dist/cui.js"),
      "init",
      template,
      directory,
      ...named,
    ]);
  }
  const initMs = performance.now() - startedAt;
  if (version !== undefined) await writeFile(path.join(directory, "VERSION"), `${version}\n`);
  await runProgram("sh", ["build.sh"], directory);
  return { initMs, buildMs: performance.now() - startedAt - initMs };
}

async function runProgram(file: string, args: readonly string[], cwd = root): Promise<void> {
  const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.on("error", reject).on("close", resolve),
  );
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}\n${output.slice(-4000)}`);
}

function findRoot(folder: string): string {
  if (existsSync(path.join(folder, "templates/guest/install.sh"))) return folder;
  if (path.dirname(folder) === folder) throw new Error("the folder templates is missing");
  return findRoot(path.dirname(folder));
}
