/** A repository that is not whole any more: an object cut, zeroed or missing, a ref or a setting that was lost with the power. */
import { CollectiveError } from "../errors.ts";
import { stderrOf } from "../io.ts";

/** What git says of its own repository; of the one it speaks with it says other things. */
const SAID = new RegExp(
  [
    "corrupt loose object|is corrupt|unable to stream [0-9a-f]{40}|unable to unpack|inflate: |object file .* is empty|header for .* too long",
    "bad object |cat-file [0-9a-f]{40}: bad file|Could not read [0-9a-f]{40}|did not send all necessary objects|unable to read tree|missing (blob|tree|commit)",
    "reference broken|unable to resolve reference|unterminated line in|unexpected line in .*packed-refs",
    "bad config|bad (numeric|boolean) config value|invalid value for 'extensions\\.|unknown repository extension",
    "not a git repository: '\\.'|not a git repository \\(or any|packfile .* (cannot|does not|is far|index|claims)|bad pack",
  ].join("|"),
);

/** The line of git's that says so; undefined where none does. What comes from the other side is not believed. */
export function damageIn(stderr: string): string | undefined {
  return stderr
    .split("\n")
    .filter((line) => !line.startsWith("remote:"))
    .findLast((line) => SAID.test(line));
}

export function isDamage(error: unknown): boolean {
  if (error instanceof CollectiveError && error.code === "REPOSITORY_DAMAGED") return true;
  return damageIn(stderrOf(error)) !== undefined;
}

/** @param said what is wrong: git's line, or which object is missing */
export function damaged(folder: string, said: string, cause?: unknown): CollectiveError {
  return new CollectiveError("REPOSITORY_DAMAGED", `the repository ${folder} is damaged: ${said}`, {
    data: { folder, said },
    hint: `\`git -C '${folder}' fsck\` says what is missing; another clone has it`,
    cause,
  });
}
