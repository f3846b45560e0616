/**
 * The namespaces of a lab, all unnamed, so that nothing can outlive the processes in them:
 *
 *     reaper (outside, session of its own): waits for the namespaces' end, removes the folder
 *     └ init: network, mount and pid namespace of `outside`; waits for the owner's end
 *       ├ host1's init: its own network, mount and pid namespace, inside those
 *       └ host2's init …
 *
 * An owned lab's init reads a pipe whose other end only the owner holds: the owner's end, SIGKILL included, is the end of
 * the pipe. When init ends, the kernel ends every process below it, and with them mounts, interfaces and sockets go. Reaper
 * and init both remove the folder: whichever single process is killed, the other one does it.
 */
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { startBackground, type BackgroundProgram, type Command } from "../../io.ts";
import type { ProcessIdentity } from "./lab-state.ts";
import { childrenOf, type ProcessEntry } from "./process-table.ts";

/** Ends with this process, when it is told to, or with another process. */
export type LabLifetime = "process" | "until-down" | { readonly pid: number };

export interface Namespaces {
  readonly reaper: ProcessIdentity;
  readonly init: ProcessIdentity;
  /** In order of the hosts' numbers. */
  readonly hosts: readonly ProcessIdentity[];
}

const UNSHARE = "unshare --net --mount --pid --fork --kill-child --mount-proc";
const INIT_MARK = "collective-lab";
const HOST_MARK = "collective-lab-host";

/**
 * Its last act is to remove the folder ($2). `--kill-child`: were unshare killed, init would be, too. For an owner that
 * holds no pipe ($5, its pid) `tail` does, as long as the owner lives; it is in the reaper's process group and ends with it.
 */
const REAPER_SCRIPT = `up() {
  ${UNSHARE} sh -c "$1" ${INIT_MARK} "$2" "$3" "$4"
  rm -rf --one-file-system -- "$2"
}
if [ -z "$5" ]; then
  up "$@"
else
  tail --pid="$5" -s 0.2 -f /dev/null | { up "$@"; kill 0; }
fi`;

/** `wait` also collects the orphans of the namespace, as its first process must. */
const HOST_SCRIPT = `sleep infinity & wait "$!"`;

const INIT_SCRIPT = `n=0
while [ "$n" -lt "$2" ]; do
  n=$((n + 1))
  ${UNSHARE} sh -c '${HOST_SCRIPT}' ${HOST_MARK} "$n" </dev/null &
done
exec 3<&0
if [ "$3" = owned ]; then cat <&3 >/dev/null & else sleep infinity & fi
wait "$!"
kill -9 -1
rm -rf --one-file-system -- "$1"`;

/** One that has failed is noticed sooner. */
const START_TIMEOUT_MS = 120_000;

/** Makes the namespaces of a lab in `directory`, which is there and is removed with them. */
export async function startNamespaces(options: {
  readonly directory: string;
  readonly hosts: number;
  readonly lifetime: LabLifetime;
}): Promise<Namespaces> {
  const reaper = await startBackground({
    file: "sh",
    args: [
      "-c",
      REAPER_SCRIPT,
      "collective-lab-reaper",
      INIT_SCRIPT,
      options.directory,
      String(options.hosts),
      options.lifetime === "until-down" ? "until-down" : "owned",
      typeof options.lifetime === "object" ? String(options.lifetime.pid) : "",
    ],
    cwd: "/",
    logFile: path.join(options.directory, "lab.log"),
    stdin: options.lifetime === "process" ? "pipe" : "ignore",
  });
  try {
    reaper.unref();
    return await findProcesses(reaper, options.hosts);
  } catch (error) {
    reaper.stdin?.end();
    try {
      process.kill(-reaper.pid, "SIGKILL");
    } catch {
      // it has ended
    }
    throw error;
  }
}

/** The same command inside the namespaces of the process `pid`. */
export function inNamespaces<Result = string>(pid: number, command: Command<Result>): Command<Result> {
  const args = [`--target=${pid}`, "--net", "--mount", "--pid", "--", command.file, ...command.args];
  return { ...command, file: "nsenter", args };
}

async function findProcesses(
  { pid: reaperPid, ended }: Pick<BackgroundProgram, "pid" | "ended">,
  hosts: number,
): Promise<Namespaces> {
  const hasEnded = ended.then(() => true);
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline;) {
    if ((await Promise.race([hasEnded, pause(10)])) === true) break;
    const init = await findInit(reaperPid);
    if (init === undefined) continue;
    const below = await Promise.all((await childrenOf(init.pid)).map((child) => childrenOf(child.pid)));
    const found = below.flat().filter((entry) => isShell(entry) && entry.args[3] === HOST_MARK);
    if (found.length < hosts) continue;
    const reaper = (await childrenOf(process.pid)).find((entry) => entry.pid === reaperPid);
    if (reaper === undefined) break;
    found.sort((left, right) => Number(left.args[4]) - Number(right.args[4]));
    return { reaper: identityOf(reaper), init: identityOf(init), hosts: found.map(identityOf) };
  }
  throw new CollectiveError("LAB_FAILED", "the lab's namespaces did not start", {
    hint: "a lab needs root and a kernel that has network, mount and pid namespaces",
  });
}

/** Below the reaper, or below the part of it that is fed by `tail`. */
async function findInit(reaperPid: number): Promise<ProcessEntry | undefined> {
  const children = await childrenOf(reaperPid);
  const below = await Promise.all(children.map(({ pid }) => childrenOf(pid)));
  const furtherBelow = await Promise.all(below.flat().map(({ pid }) => childrenOf(pid)));
  return [...below.flat(), ...furtherBelow.flat()].find(
    (entry) => isShell(entry) && entry.args[3] === INIT_MARK,
  );
}

/** Between fork and exec a child still has the name of its parent, `unshare`. */
function isShell(entry: ProcessEntry): boolean {
  return entry.args[0] === "sh";
}

function identityOf({ pid, startTime }: ProcessEntry): ProcessIdentity {
  return { pid, startTime };
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
