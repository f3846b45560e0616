/** What a publisher says of a version: the message of its annotated tag, else the subjects of its commits. */
import type { Mirror } from "./mirror.ts";
import type { Version } from "./versions.ts";

export interface VersionNotes {
  readonly version: number;
  readonly from: "tag" | "commits";
  /** A tag's message without its signature, or one subject a line, the newest first; at most 10,000 characters. */
  readonly text: string;
  /** Why nobody should take this version; undefined when it is not withdrawn. */
  readonly withdrawn: string | undefined;
}

export interface VersionStep {
  readonly version: Version;
  /** The commit of the version before; undefined: all history is its own. */
  readonly since: string | undefined;
  readonly withdrawn: string | undefined;
}

const MAX_VERSIONS = 50;
const MAX_SUBJECTS = 50;
const MAX_CHARACTERS = 10_000;
const MAX_SUBJECT_CHARACTERS = 500;

/** Of the first 50 steps. */
export async function readNotes(mirror: Mirror, steps: readonly VersionStep[]): Promise<VersionNotes[]> {
  const notes: VersionNotes[] = [];
  for (const step of steps.slice(0, MAX_VERSIONS)) {
    const { version, withdrawn } = step;
    const message = await tagMessage(mirror, version.version);
    const told = { version: version.version, withdrawn };
    notes.push(
      message === ""
        ? { ...told, from: "commits", text: await commitSubjects(mirror, step) }
        : { ...told, from: "tag", text: message },
    );
  }
  return notes;
}

/** Empty for a lightweight tag: its commit's message comes with the subjects. */
async function tagMessage(mirror: Mirror, version: number): Promise<string> {
  const format = "--format=%(objecttype) %(contents:subject)%0a%0a%(contents:body)";
  const text = await mirror.git.run({ args: ["for-each-ref", format, `refs/tags/v${version}`] });
  return text.startsWith("tag ") ? text.slice("tag ".length).trim().slice(0, MAX_CHARACTERS) : "";
}

async function commitSubjects(mirror: Mirror, { version, since }: VersionStep): Promise<string> {
  const range = since === undefined ? version.commit : `${since}..${version.commit}`;
  const args = ["log", "--no-show-signature", `--max-count=${MAX_SUBJECTS}`, "--format=%s", range, "--"];
  const subjects = (await mirror.git.run({ args })).split("\n").filter((line) => line !== "");
  return subjects
    .map((subject) => subject.slice(0, MAX_SUBJECT_CHARACTERS))
    .join("\n")
    .slice(0, MAX_CHARACTERS);
}
