#!/usr/bin/env node
/**
 * The entry point of the `cui` command. A Node too old for the rest runs it as well, from Node 18 on, so its syntax is plain;
 * it loads the rest only under one that is new enough.
 */
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import path from "node:path";

/** "engines" of package.json: zstd dictionaries came with Node 24.6. */
const OLDEST_NODE = [24, 6] as const;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) {
  cacheCompiledCode();
  await import("./process.ts");
} else {
  const found = `${process.execPath} is Node ${process.versions.node}`;
  process.stderr.write(`error: cui needs Node ${OLDEST_NODE.join(".")} or later; ${found}\n`);
  process.exitCode = 1;
}

/**
 * Has Node keep the compiled code, which takes a third of the start of the larger commands. It is executed without a check,
 * so it is only read from a folder that nobody else can write.
 * @see Node.js, "Module compile cache"
 */
function cacheCompiledCode(): void {
  const caches = process.env["XDG_CACHE_HOME"] ?? "";
  const folder = path.join(path.isAbsolute(caches) ? caches : path.join(homedir(), ".cache"), "cui/compiled");
  try {
    mkdirSync(path.dirname(folder), { recursive: true });
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    const found = lstatSync(folder);
    const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
    if (isOurs) module.enableCompileCache(folder);
  } catch {
    // No cache: a folder that cannot be made is no reason to stop.
  }
}
