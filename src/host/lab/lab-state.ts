/** `lab.json` in a lab's folder: what a lab consists of, for those who use it and for those who end it. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { writeFileAtomically } from "../../io.ts";
import { isRunning } from "./process-table.ts";

export const LAB_FORMAT = 1;
const STATE_FILE = "lab.json";

/** The default folder of `cui lab`. */
export const DEFAULT_LAB_DIRECTORY = "/var/lib/collective/lab";

const processSchema = z.strictObject({ pid: z.int().positive(), startTime: z.string() });

const hostSchema = z.strictObject({
  name: z.string(),
  /** What the utility's inventory takes: `unix:` and the path of the host manager's socket. */
  address: z.string(),
  directory: z.string(),
  bridge: z.string(),
  init: processSchema,
});

const labSchema = z.strictObject({
  format: z.literal(LAB_FORMAT),
  directory: z.string(),
  /** `owned`: ends with the process that made it. */
  lifetime: z.enum(["owned", "until-down"]),
  /** Waits outside the namespaces for their end and removes the folder. */
  reaper: processSchema,
  /** First process of the namespaces; they end with it. `outside` lies in its network namespace. */
  init: processSchema,
  hosts: z.array(hostSchema),
  /** Free tags for networks. */
  vlans: z.strictObject({ from: z.int(), to: z.int() }),
  external: z.strictObject({
    tag: z.int().nullable(),
    subnet: z.string(),
    gateway: z.string(),
    addresses: z.strictObject({ first: z.string(), last: z.string() }),
  }),
});

/** A process that is still the one that was meant: pids are used again, start times are not. */
export type ProcessIdentity = z.infer<typeof processSchema>;
export type LabHost = z.infer<typeof hostSchema>;
export type LabState = z.infer<typeof labSchema>;

/** Where the disks of a host's machines, and its attic, are. */
export function hostDataFolder({ directory }: LabHost): string {
  return path.join(directory, "collective");
}

/** Undefined when `directory` holds no lab. @throws CollectiveError LAB_STATE_INVALID. */
export async function readLabState(directory: string): Promise<LabState | undefined> {
  const file = path.join(directory, STATE_FILE);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  const result = labSchema.safeParse(parseJson(text));
  if (result.success) return result.data;
  throw new CollectiveError("LAB_STATE_INVALID", `${file} is not a lab of format ${LAB_FORMAT}`, {
    data: { file },
    hint: "it may be from another release of cui; look into the folder and remove it yourself",
  });
}

export async function writeLabState(state: LabState): Promise<void> {
  await writeFileAtomically(
    path.join(state.directory, STATE_FILE),
    `${JSON.stringify(state, undefined, 2)}\n`,
  );
}

/** The lab in `directory` with whether it is still up. @throws CollectiveError LAB_NOT_FOUND. */
export async function labStatus(directory: string): Promise<LabState & { readonly up: boolean }> {
  const state = await readLabState(path.resolve(directory));
  if (state === undefined) {
    throw new CollectiveError("LAB_NOT_FOUND", `there is no lab in ${directory}`, {
      hint: "cui lab up makes one; --dir names another folder",
    });
  }
  const up = await isRunning(state.init);
  return { ...state, up };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
