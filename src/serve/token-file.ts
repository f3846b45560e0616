/**
 * The file of those who may read and write. It holds no token, only the SHA-256 of each.
 *
 *     format: 1
 *     tokens:
 *       - { name: ci, sha256: 9f86d0…, rights: write }
 */
import { createHash, randomBytes } from "node:crypto";
import { parse } from "yaml";
import * as z from "zod";
import { CollectiveError } from "../errors.ts";
import { reasonOf } from "../file-errors.ts";
import { rewriteFile } from "../user-file.ts";
import { appendItem, removeItem } from "../yaml-edit.ts";
import { issueText } from "../yaml-words.ts";
import { readRegularFile } from "../regular-file.ts";

export type TokenRights = "read" | "write";

export interface TokenEntry {
  /** What hooks see as REMOTE_USER. */
  readonly name: string;
  /** Of the token, 64 lowercase hex digits. */
  readonly sha256: string;
  /** Who may write may read. */
  readonly rights: TokenRights;
}

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TOKENS = 10_000;
/** It becomes part of a committer's identity. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

const SCHEMA = z.strictObject({
  format: z.literal(1, "only format: 1 is understood"),
  tokens: z
    .array(
      z.strictObject({
        name: z.string().regex(NAME, "expected letters, digits and . _ @ -, at most 64"),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lowercase hex digits"),
        rights: z.enum(["read", "write"]),
      }),
    )
    .max(MAX_TOKENS),
});

/**
 * Who is in the file; nobody when it does not exist.
 * @throws CollectiveError SERVE_TOKENS_INVALID
 */
export async function readTokens(file: string): Promise<readonly TokenEntry[]> {
  return (await readTokenFile(file)).entries;
}

interface TokenFile {
  /** Empty where there is no file. */
  readonly text: string;
  readonly entries: readonly TokenEntry[];
}

async function readTokenFile(file: string): Promise<TokenFile> {
  const read = readRegularFile(file, { maxBytes: MAX_FILE_BYTES });
  const bytes = await read.catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw invalid(file, reasonOf(error).reason, error);
  });
  const text = bytes?.toString("utf8");
  return text === undefined ? { text: "", entries: [] } : { text, entries: parseTokens(text, file) };
}

/**
 * Makes a token, adds its SHA-256 to the file and returns the token itself: nobody can show it again.
 * @throws CollectiveError SERVE_TOKEN_NAME, SERVE_TOKENS_INVALID
 */
export async function addToken(file: string, name: string, rights: TokenRights): Promise<string> {
  const { text, entries } = await readTokenFile(file);
  if (!NAME.test(name)) {
    throw new CollectiveError("SERVE_TOKEN_NAME", `"${name}" cannot be the name of a token`, {
      hint: "use letters, digits and . _ @ -, at most 64",
    });
  }
  if (entries.some((entry) => entry.name === name)) {
    throw new CollectiveError("SERVE_TOKEN_NAME", `there is a token called ${name} already`, {
      hint: `\`cui serve token remove ${name}\` revokes it`,
    });
  }
  const token = `cui_${randomBytes(32).toString("base64url")}`;
  const entry: TokenEntry = { name, sha256: digestOf(token).toString("hex"), rights };
  await writeTokens(file, appendItem(text, "tokens", entry));
  return token;
}

/** @throws CollectiveError SERVE_TOKEN_NAME when there is none of that name */
export async function removeToken(file: string, name: string): Promise<void> {
  const { text, entries } = await readTokenFile(file);
  const index = entries.findIndex((entry) => entry.name === name);
  if (index === -1) {
    throw new CollectiveError("SERVE_TOKEN_NAME", `there is no token called ${name}`, {
      hint: "`cui serve token list` shows the names",
    });
  }
  await writeTokens(file, removeItem(text, "tokens", index));
}

/** What the file holds of a token. A token has 256 random bits, so that no slow hash is needed. */
export function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function parseTokens(text: string, file: string): readonly TokenEntry[] {
  let content: unknown;
  try {
    content = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid(file, "it is no YAML", error);
  }
  const { success, data, error } = SCHEMA.safeParse(content);
  if (!success) {
    throw invalid(file, issueText(error.issues[0]));
  }
  const names = new Set(data.tokens.map(({ name }) => name));
  if (names.size !== data.tokens.length) throw invalid(file, "a name is there twice");
  return data.tokens;
}

async function writeTokens(file: string, text: string): Promise<void> {
  await rewriteFile(file, text, { mode: 0o600 }).catch((error: unknown) => {
    throw invalid(file, reasonOf(error).reason, error);
  });
}

function invalid(file: string, why: string, cause?: unknown): CollectiveError {
  return new CollectiveError("SERVE_TOKENS_INVALID", `the token file ${file} cannot be used: ${why}`, {
    data: { file },
    hint: "`cui serve token add <name> --tokens <file>` writes one; its folder must exist",
    cause,
  });
}
