/** The site a command works in: found from the working folder upwards, as git does. */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";
import { placeDiagnostic, renderDiagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { withFileLock } from "../file-lock.ts";
import { rewriteFile } from "../user-file.ts";
import { addSiteId } from "./edit-inventory.ts";
import { parseInventory } from "./read-inventory.ts";
import type { Inventory } from "./inventory.ts";
import { readRegularFile } from "../regular-file.ts";

export const INVENTORY_FILE = "utility.yaml";

export interface Site {
  readonly folder: string;
  readonly inventory: Inventory;
}

/** An edit takes a moment: who waited that long waits for a process that was stopped. */
const LOCK_WAIT_MS = 60_000;

/**
 * @throws CollectiveError UTILITY_NO_SITE when no folder up to the root has a utility.yaml, UTILITY_INVENTORY_INVALID with every
 *   mistake when it is not well-formed.
 */
export async function findSite(cwd: string): Promise<Site> {
  const folder = await findSiteFolder(cwd);
  return {
    folder,
    inventory: checkedInventory(String(await readRegularFile(path.join(folder, INVENTORY_FILE)))),
  };
}

export interface EditOptions {
  /** Told for whom we wait, when somebody else edits the file. */
  readonly onWait?: ((message: string) => void) | undefined;
  /** The longest wait; default a minute. */
  readonly waitMs?: number;
}

/**
 * Replaces the text of utility.yaml by what `edit` makes of it, and gives the site an id where it has none; the result must be
 * well-formed. One editor at a time.
 * @throws CollectiveError as findSite, and as withFileLock
 */
export async function editSite(
  cwd: string,
  edit: (text: string, inventory: Inventory) => string,
  { onWait, waitMs = LOCK_WAIT_MS }: EditOptions = {},
): Promise<Site> {
  const folder = await findSiteFolder(cwd);
  const file = path.join(folder, INVENTORY_FILE);
  const lock = {
    file: path.join(folder, `.${INVENTORY_FILE}.lock`),
    purpose: `editing ${INVENTORY_FILE}`,
    isRemoved: true,
    waitMs,
    onWait,
  };
  return withFileLock(lock, async () => {
    const before = String(await readRegularFile(file));
    const known = checkedInventory(before);
    const edited = edit(before, known);
    const after = known.site === undefined ? addSiteId(edited, newSiteId()) : edited;
    const inventory = checkedInventory(after);
    if (after !== before) await rewriteFile(file, after);
    return { folder, inventory };
  });
}

/**
 * Makes the site's id where it has none yet: before anything is written under it, so that every command has the same.
 * @throws CollectiveError as editSite
 */
export async function identifySite(site: Site, options: EditOptions = {}): Promise<Site> {
  return site.inventory.site === undefined ? editSite(site.folder, (text) => text, options) : site;
}

/** 48 random bits, as hex. */
export function newSiteId(): string {
  return randomBytes(6).toString("hex");
}

/** The nearest folder upwards that has a utility.yaml. @throws CollectiveError UTILITY_NO_SITE. */
export async function findSiteFolder(cwd: string): Promise<string> {
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    const found = await stat(path.join(folder, INVENTORY_FILE)).catch(() => undefined);
    if (found?.isFile() === true) return folder;
    if (folder === path.dirname(folder)) break;
  }
  throw new CollectiveError(
    "UTILITY_NO_SITE",
    `no ${INVENTORY_FILE} in ${path.resolve(cwd)} or a folder above it`,
    {
      hint: "run the command inside a site, or make one with `cui init site <dir>`",
    },
  );
}

/** @throws CollectiveError UTILITY_INVENTORY_INVALID with every mistake. */
export function checkedInventory(text: string): Inventory {
  const { inventory, diagnostics } = parseInventory(text, INVENTORY_FILE);
  if (inventory !== undefined) return inventory;
  const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, () => text));
  throw new CollectiveError(
    "UTILITY_INVENTORY_INVALID",
    `${INVENTORY_FILE} has ${diagnostics.length} mistake${diagnostics.length === 1 ? "" : "s"}\n${rendered.join("\n")}`,
    {
      diagnostics: diagnostics.map((diagnostic) => placeDiagnostic(diagnostic, () => text)),
      hint: `correct ${INVENTORY_FILE}; nothing was changed`,
    },
  );
}
