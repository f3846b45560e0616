// Makes an appliance from a template and builds its program disk: what the quickstart and the tests start from.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder: of this file, or of a test bundled into build/. */
const root = findRoot(path.dirname(fileURLToPath(import.meta.url)));

/**
 * `cui init` where the folder is new, VERSION where a version is given, then `sh build.sh`.
 * Resolves to how long each took; rejects with the output of what failed.
 */
export async function buildAppliance({ template, directory, name, version }) {
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

async function runProgram(file, args, cwd = root) {
  const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}\n${output.slice(-4000)}`);
  return output;
}

function findRoot(folder) {
  if (existsSync(path.join(folder, "templates/guest/install.sh"))) return folder;
  if (path.dirname(folder) === folder) throw new Error("the folder templates is missing");
  return findRoot(path.dirname(folder));
}
