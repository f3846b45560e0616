/**
 * Who signed a commit, or a tag that approves of it, with an SSH key. Keys and their owners are lines of an SSH allowed-signers
 * file, which come from policy; nothing of the user's own git settings is asked.
 * @see ssh-keygen(1), "ALLOWED SIGNERS"; gitformat-signature(5)
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../io.ts";
import type { Git } from "./git.ts";
import { openGitObjects } from "./objects.ts";
import { isCommitId, type CommitId } from "./commit-id.ts";
import { listRefs } from "./refs.ts";

/** Where people put their signed tags: `refs/collective/approvals/<commit>/<anything>`. */
export const APPROVAL_REFS = "refs/collective/approvals";
/**
 * The name inside the tag, which is signed with it: a tag somebody made for another purpose approves of nothing.
 * `git tag -s approve-<anything> <commit>`
 */
const APPROVAL_TAG = /^approve[-/]/;

export interface Signature {
  /** Who the allowed-signers line names. */
  readonly signer: string;
  /** `SHA256:…` of the key. */
  readonly key: string;
  /** `signed the commit` or `approved with a signed tag`. */
  readonly how: string;
}

export interface Signatures {
  readonly valid: readonly Signature[];
  /** What was found and does not count, and why. */
  readonly refused: readonly string[];
}

const MAX_OBJECT_BYTES = 1024 * 1024;
const MAX_TAGS = 100;
const SIGNATURE = /-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]{1,20000}-----END SSH SIGNATURE-----\n?/;

/** Signatures of the commit itself and of the approving tags that point at it. */
export async function signaturesOf(options: {
  readonly git: Git;
  readonly commit: string;
  readonly allowedSigners: readonly string[];
}): Promise<Signatures> {
  const { git, commit, allowedSigners } = options;
  if (allowedSigners.length === 0 || !isCommitId(commit)) return { valid: [], refused: [] };
  const folder = await mkdtemp(path.join(tmpdir(), "cui-signers-"));
  try {
    const signersFile = path.join(folder, "allowed-signers");
    await writeFile(
      signersFile,
      `${allowedSigners.map((line) => line.replaceAll(/[\r\n]/g, " ")).join("\n")}\n`,
    );
    const valid: Signature[] = [];
    const refused: string[] = [];
    for (const signed of await signedObjects(git, commit)) {
      const found = "problem" in signed ? undefined : await verify(signed, { folder, signersFile });
      if (found !== undefined) valid.push({ ...found, how: signed.how });
      else refused.push(`${signed.name} (${"problem" in signed ? signed.problem : NO_KEY})`);
    }
    return { valid, refused };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const NO_KEY = "not signed by a key of approval.signers";

/** Each person once: neither the same name with two keys nor the same key under two names counts twice. */
export function distinctSigners(signatures: readonly Signature[]): readonly Signature[] {
  const names = new Set<string>();
  const keys = new Set<string>();
  return signatures.filter(({ signer, key }) => {
    const isNew = !names.has(signer) && !keys.has(key);
    names.add(signer);
    keys.add(key);
    return isNew;
  });
}

type SignedObject = { readonly name: string; readonly how: string } & (
  { readonly payload: string; readonly signature: string } | { readonly problem: string }
);

async function signedObjects(git: Git, commit: CommitId): Promise<SignedObject[]> {
  const objects = openGitObjects(git);
  const readText = async (oid: string, type: string): Promise<string | undefined> => {
    const info = await objects.info(oid);
    if (info?.type !== type || info.sizeBytes > MAX_OBJECT_BYTES) return undefined;
    return (await objects.contents(oid))?.content.toString("latin1");
  };
  try {
    const found: SignedObject[] = [];
    const own = splitCommit((await readText(commit, "commit")) ?? "", commit);
    if (own !== undefined) found.push({ name: "the commit", how: "signed the commit", ...own });
    const tags = await listRefs(git, { pattern: `${APPROVAL_REFS}/${commit}/`, limit: MAX_TAGS });
    for (const { name: ref, oid } of tags) {
      const name = ref.slice(`${APPROVAL_REFS}/${commit}/`.length);
      found.push({
        name,
        how: "approved with a signed tag",
        ...splitTag(await readText(oid, "tag"), commit),
      });
    }
    return found;
  } finally {
    await objects.close();
  }
}

/**
 * A commit's signature is a header of it, whose name tells how its repository names objects; what is signed is the commit without
 * either of the two headers.
 */
function splitCommit(text: string, commit: CommitId): { payload: string; signature: string } | undefined {
  const end = text.indexOf("\n\n") + 1;
  const head = text.slice(0, end);
  const own = commit.length === 64 ? "gpgsig-sha256" : "gpgsig";
  const header = new RegExp(`^${own} (-----BEGIN SSH SIGNATURE-----\\n(?: .*\\n)+)`, "m").exec(head);
  if (header === null) return undefined;
  const payload = head.replaceAll(/^gpgsig(?:-sha256)? .*\n(?: .*\n)*/gm, "") + text.slice(end);
  return { payload, signature: (header[1] ?? "").replaceAll("\n ", "\n") };
}

/** A tag's signature stands at its end. */
function splitTag(
  text: string | undefined,
  commit: string,
): { payload: string; signature: string } | { problem: string } {
  if (text === undefined) return { problem: "no annotated tag" };
  const match = SIGNATURE.exec(text);
  if (match === null) return { problem: "not signed" };
  const payload = text.slice(0, match.index);
  const [object, type, tag = ""] = payload.split("\n");
  if (object !== `object ${commit}` || type !== "type commit") return { problem: "points at another commit" };
  if (!APPROVAL_TAG.test(tag.replace(/^tag /, "")))
    return { problem: "its name does not begin with approve-" };
  return { payload, signature: match[0] };
}

/** Undefined when the signature is not valid, or of nobody who is listed. */
async function verify(
  { payload, signature }: { payload: string; signature: string },
  { folder, signersFile }: { folder: string; signersFile: string },
): Promise<Pick<Signature, "signer" | "key"> | undefined> {
  const signatureFile = path.join(folder, "signature");
  await writeFile(signatureFile, signature);
  const keygen = (args: readonly string[], input?: Uint8Array): Promise<string | undefined> =>
    run({
      file: "ssh-keygen",
      args: ["-Y", ...args, "-s", signatureFile, "-f", signersFile],
      ...(input === undefined ? {} : { input }),
      env: { LC_ALL: "C" },
      timeoutMs: 10_000,
      allowedExitCodes: [0, 1, 255],
      parse: (stdout, exitCode) => (exitCode === 0 ? stdout : undefined),
    });
  const signer = (await keygen(["find-principals"]))?.split("\n")[0];
  if (signer === undefined || signer === "") return undefined;
  const said = await keygen(["verify", "-n", "git", "-I", signer], Buffer.from(payload, "latin1"));
  const key = /\bkey (SHA256:[A-Za-z0-9+/=]+)/.exec(said ?? "")?.[1];
  return key === undefined ? undefined : { signer, key };
}
