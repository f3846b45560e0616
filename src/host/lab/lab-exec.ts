/** Runs programs inside a lab: on one of its hosts, or outside. */
import { CollectiveError } from "../../errors.ts";
import { runInherited, type Command } from "../../io.ts";
import { labStatus, type LabState } from "./lab-state.ts";
import { inNamespaces } from "./namespaces.ts";

export interface LabPlace {
  readonly directory: string;
  /** `outside`, or the name of a host. */
  readonly place: string;
}

/** The places a lab has. */
export function placesOf({ hosts }: LabState): readonly string[] {
  return ["outside", ...hosts.map(({ name }) => name)];
}

/** The command that runs a command there, in the folder the caller is in unless it names one. */
export async function labCommand<Result = string>(
  where: LabPlace,
  command: Command<Result>,
): Promise<Command<Result>> {
  return inNamespaces(await pidOf(where), inFolder(command));
}

/** Runs a command there on this process's terminal or pipes; resolves to its exit status. */
export async function labExecInherited(
  where: LabPlace,
  args: readonly [string, ...string[]],
): Promise<number> {
  const [file, ...rest] = args;
  return runInherited(await labCommand(where, { file, args: rest }));
}

/** Entering a mount namespace leads to its root: back to the folder the caller is in. */
function inFolder<Result>(command: Command<Result>): Command<Result> {
  const { cwd = process.cwd(), file, args } = command;
  return { ...command, cwd: "/", file: "env", args: ["-C", cwd, "--", file, ...args] };
}

async function pidOf({ directory, place }: LabPlace): Promise<number> {
  const state = await labStatus(directory);
  if (!state.up) {
    throw new CollectiveError("LAB_NOT_FOUND", `the lab in ${directory} is down`, {
      hint: "cui lab up makes one",
    });
  }
  if (place === "outside") return state.init.pid;
  const host = state.hosts.find(({ name }) => name === place);
  if (host !== undefined) return host.init.pid;
  throw new CollectiveError("LAB_NOT_FOUND", `the lab has no "${place}"`, {
    hint: `it has ${placesOf(state).join(", ")}`,
  });
}
