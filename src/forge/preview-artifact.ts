/**
 * A preview as files: written by the job that has no rights, read as hostile input by the one that may comment.
 *
 *     pull-request.json   number, head, base
 *     preview.json        networks in their order, each with its plan's file, its problems, its picture
 *     plan-0.json …       whole plans
 *     approval.json       what an approval means
 *     plan.md             for people who download it; never read again
 */
import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { readApproval, type Approval } from "../plan/approval.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import { readMermaid } from "../plan/read-mermaid.ts";
import { readPlan } from "../plan/read-plan.ts";
import { commitIdSchema } from "../git/commit-id-schema.ts";

export interface PreviewArtifact {
  readonly number: number;
  readonly head: string;
  readonly base: string;
  readonly networks: readonly ArtifactNetwork[];
  readonly policyChanges: readonly string[];
  readonly approval: Approval;
}

export interface ArtifactNetwork extends PlannedNetwork {
  readonly object?: string | undefined;
}

const FORMAT = 1;
const MOST_NETWORKS = 1000;
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_ACTIONS = 500_000;
const commit = commitIdSchema;
const text = z.string().max(2000);

const pullSchema = z.object({
  format: z.literal(FORMAT),
  number: z
    .int()
    .min(1)
    .max(2 ** 31),
  head: commit,
  base: commit,
});

const previewSchema = z.object({
  format: z.literal(FORMAT),
  networks: z
    .array(
      z.object({
        file: text,
        object: text.optional(),
        plan: z
          .string()
          .regex(/^plan-\d{1,4}\.json$/)
          .nullable(),
        problems: z.array(z.string().max(20_000)).max(1000).optional(),
        diagram: z.string().max(2_000_000).optional(),
      }),
    )
    .max(MOST_NETWORKS),
  policyChanges: z.array(text).max(20),
});

const KNOWN_FILE = /^(pull-request|preview|approval|plan-\d{1,4})\.json$|^plan\.md$/;

/** Writes the files into `folder`, in the place of those of a run before. Names in them are our own, whatever the content says. */
export async function writePreviewArtifact(
  folder: string,
  { number, head, base, networks, policyChanges, approval }: PreviewArtifact,
  markdown: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (KNOWN_FILE.test(name)) await rm(path.join(folder, name));
  const files = new Map<string, unknown>([
    ["pull-request.json", { format: FORMAT, number, head, base }],
    ["approval.json", approval],
  ]);
  const listed = networks.map(({ file, object, plan, problems, diagram }, index) => {
    const name = `plan-${index}.json`;
    if (plan !== null) files.set(name, plan);
    const shown = problems?.slice(0, 1000).map((problem) => problem.slice(0, 20_000));
    return { file, object, plan: plan === null ? null : name, problems: shown, diagram };
  });
  files.set("preview.json", { format: FORMAT, networks: listed, policyChanges });
  for (const [name, value] of files) await writeFile(path.join(folder, name), `${JSON.stringify(value)}\n`);
  await writeFile(path.join(folder, "plan.md"), `${markdown}\n`);
}

/**
 * Reads a folder that a stranger may have filled: plain files of known names, bounded in size, checked in shape. A picture
 * that is none of ours is left out.
 * @throws CollectiveError FORGE_ARTIFACT_REFUSED.
 */
export async function readPreviewArtifact(folder: string): Promise<PreviewArtifact> {
  const readFile = await openFolder(folder);
  const pull = parse(pullSchema, await readFile("pull-request.json"), "pull-request.json");
  const preview = parse(previewSchema, await readFile("preview.json"), "preview.json");
  const approval = await refusing(async () => readApproval(await readFile("approval.json"), "approval.json"));
  const networks: ArtifactNetwork[] = [];
  let actions = 0;
  for (const { plan: name, diagram, ...rest } of preview.networks) {
    const plan = name === null ? null : await refusing(async () => readPlan(await readFile(name), name));
    actions += plan?.actions.length ?? 0;
    if (actions > MOST_ACTIONS) throw refused(`it has more than ${MOST_ACTIONS} actions`);
    const picture = diagram === undefined ? undefined : readMermaid(diagram);
    networks.push({
      ...withoutUndefined(rest),
      plan,
      ...(picture === undefined ? {} : { diagram: picture }),
    });
  }
  const { number, head, base } = pull;
  return { number, head, base, networks, policyChanges: preview.policyChanges, approval };
}

function withoutUndefined(rest: {
  file: string;
  object?: string | undefined;
  problems?: string[] | undefined;
}): {
  file: string;
  object?: string;
  problems?: string[];
} {
  const { file, object, problems } = rest;
  return {
    file,
    ...(object === undefined ? {} : { object }),
    ...(problems === undefined ? {} : { problems }),
  };
}

/** Looks at every name before anything is read; each file is read once and counts. */
async function openFolder(folder: string): Promise<(name: string) => Promise<string>> {
  const info = await lstat(folder).catch(() => undefined);
  if (info?.isDirectory() !== true) throw refused("it is no folder");
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) {
    const name = visible(entry.name.slice(0, 100));
    if (!KNOWN_FILE.test(entry.name))
      throw refused(`it has a file ${JSON.stringify(name)}, which no preview has`);
    if (!entry.isFile()) throw refused(`${name} is no plain file`);
  }
  let left = MOST_BYTES;
  return async (name) => {
    const handle = await open(path.join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (error: unknown) => {
        throw refused(`${name} cannot be read`, error);
      },
    );
    try {
      const { size } = await handle.stat();
      left -= size;
      if (left < 0) throw refused(`its files have more than ${MOST_BYTES} bytes`);
      return (await handle.readFile()).toString("utf8");
    } finally {
      await handle.close();
    }
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, json: string, name: string): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw refused(`${name} is no JSON`, error);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw refused(`${name}: ${issue?.message ?? ""} at ${visible(issue?.path.join(".") || "the top")}`);
}

async function refusing<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "INVALID_INPUT")
      throw refused(error.message, error);
    throw error;
  }
}

function refused(why: string, cause?: unknown): CollectiveError {
  return new CollectiveError("FORGE_ARTIFACT_REFUSED", `the artifact of the preview is refused: ${why}`, {
    hint: "the run that made it may have been changed by the pull request; look at what it changes",
    cause,
  });
}
