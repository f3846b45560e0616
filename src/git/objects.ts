/**
 * Reads objects of one repository through a single `git cat-file --batch-command`.
 *
 *     > info <name>                      < <oid> SP <type> SP <size> LF
 *     > contents <name>                  < <oid> SP <type> SP <size> LF <bytes> LF
 *                                        < <name> SP "missing" LF
 *
 * Requests are pipelined; answers come in their order. Only object ids and names made here go in, never a stranger's text.
 * @see docs/decisions/0002-git-through-its-own-program.md
 */
import { CollectiveError } from "../errors.ts";
import { startProgram, stderrOf, type RunningProgram } from "../io.ts";
import { damaged, damageIn } from "./damage.ts";
import type { Git } from "./git.ts";

export interface ObjectInfo {
  readonly oid: string;
  readonly type: string;
  readonly sizeBytes: number;
}

export interface GitObject extends ObjectInfo {
  readonly content: Buffer;
}

export interface GitObjects {
  /** The repository. */
  readonly folder: string;
  /** Resolves to undefined when there is no such object. */
  info(name: string): Promise<ObjectInfo | undefined>;
  /** The object with its content, whatever its size: ask `info` first where a stranger decides it. */
  contents(name: string): Promise<GitObject | undefined>;
  /** Ends the git process; requests under way reject. */
  close(): Promise<void>;
}

interface Request {
  readonly name: string;
  readonly wantsContent: boolean;
  readonly resolve: (object: GitObject | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const NAME = /^[A-Za-z0-9/._^{}-]+$/;

/** A process with nothing to do ends: a load may read a thousand repositories. */
const IDLE_MS = 250;

/**
 * Opens a repository for reading; the git process starts with the first request, and again after it was idle. A damaged object ends it: its
 * own request rejects with REPOSITORY_DAMAGED, those behind it are asked again.
 */
export function openGitObjects(git: Git): GitObjects {
  const { folder } = git;
  let program: RunningProgram | undefined;
  let closed = false;
  let idle: NodeJS.Timeout | undefined;
  const waiting: Request[] = [];

  const endWhenIdle = (): void => {
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (waiting.length > 0) return;
      program?.stdin.end();
      program = undefined;
    }, IDLE_MS).unref();
  };

  const start = (): RunningProgram => {
    const started = startProgram(git.command({ args: ["cat-file", "--batch-command"] }));
    readAnswers(started, waiting, endWhenIdle);
    void started.ended.then((error) => {
      if (program !== started && program !== undefined) return;
      program = undefined;
      const said = damageIn(stderrOf(error));
      const [first, ...others] = waiting.splice(0);
      first?.reject(said === undefined ? (error ?? readerClosed(folder)) : damaged(folder, said, error));
      for (const request of others) {
        if (said === undefined || closed) request.reject(error ?? readerClosed(folder));
        else send(request);
      }
    });
    return started;
  };
  const send = (request: Request): void => {
    program ??= start();
    waiting.push(request);
    program.stdin.write(`${request.wantsContent ? "contents" : "info"} ${request.name}\n`);
  };
  const ask = (command: "info" | "contents", name: string): Promise<GitObject | undefined> =>
    new Promise((resolve, reject) => {
      if (closed) throw readerClosed(folder);
      if (!NAME.test(name)) throw new TypeError(`not an object name: ${JSON.stringify(name)}`);
      send({ name, wantsContent: command === "contents", resolve, reject });
    });
  return {
    folder,
    info: (name) => ask("info", name),
    contents: (name) => ask("contents", name),
    close: async () => {
      closed = true;
      clearTimeout(idle);
      program?.stdin.end();
      await program?.ended;
    },
  };
}

function readerClosed(folder: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_UNREADABLE",
    `the repository ${folder} could not be read to the end`,
  );
}

/** Cuts the output into answers. Large contents arrive in many pieces: they are joined once, at the end. */
function readAnswers(program: RunningProgram, waiting: Request[], onEmpty: () => void): void {
  let pieces: Buffer[] = [];
  let length = 0;
  let header: ObjectInfo | undefined;

  const take = (count: number): Buffer => {
    const all = pieces.length === 1 ? (pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(pieces, length);
    pieces = count === all.length ? [] : [all.subarray(count)];
    length -= count;
    return all.subarray(0, count);
  };
  const answer = (): boolean => {
    const request = waiting[0];
    if (request === undefined) return false;
    if (header === undefined) {
      const lineEnd = pieces.length === 0 ? -1 : findNewline(pieces);
      if (lineEnd === -1) return false;
      const line = take(lineEnd + 1)
        .toString("utf8")
        .trimEnd();
      header = parseHeader(line);
      if (header === undefined || !request.wantsContent) {
        waiting.shift()?.resolve(header === undefined ? undefined : { ...header, content: Buffer.alloc(0) });
        header = undefined;
        return true;
      }
    }
    if (length < header.sizeBytes + 1) return false;
    const content = take(header.sizeBytes + 1).subarray(0, header.sizeBytes);
    waiting.shift()?.resolve({ ...header, content });
    header = undefined;
    return true;
  };
  program.stdout.on("data", (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    while (answer());
    if (waiting.length === 0) onEmpty();
  });
}

function findNewline(pieces: readonly Buffer[]): number {
  let before = 0;
  for (const piece of pieces) {
    const at = piece.indexOf(10);
    if (at !== -1) return before + at;
    before += piece.length;
  }
  return -1;
}

/** Undefined for `… missing` (and `… ambiguous`, which full ids never are). */
function parseHeader(line: string): ObjectInfo | undefined {
  const match = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(line);
  if (match === null) return undefined;
  return { oid: match[1] ?? "", type: match[2] ?? "", sizeBytes: Number(match[3]) };
}
