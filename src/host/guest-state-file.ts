/** What a guest said, kept in a file, so that a host manager that was restarted knows it. */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { writeFileAtomically } from "../io.ts";

const conditionSchema = z.object({
  state: z.enum(["starting", "ready", "failed"]),
  status: z.string(),
  /** From the start of the domain to the first READY=1. */
  bootMs: z.number().nullable(),
});
const savedSchema = conditionSchema.extend({ startedAt: z.string() });

export type GuestCondition = Readonly<z.infer<typeof conditionSchema>>;

export interface GuestStateFile {
  /** Writes it now, or within a second together with what comes meanwhile: a chatty guest is written once a second. */
  write(condition: GuestCondition, when: "now" | "soon"): void;
  /** Resolves when everything is written; never rejects. */
  flush(): Promise<void>;
}

const WRITE_PERIOD_MS = 1000;

/** What the file has of the run that was started then; undefined for a new run, or the file of one before. */
export async function readGuestState(file: string, startedAt: string): Promise<GuestCondition | undefined> {
  try {
    const saved = savedSchema.parse(JSON.parse(await readFile(file, "utf8")));
    return saved.startedAt === startedAt ? conditionSchema.parse(saved) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the file's folder. */
export async function openGuestStateFile(file: string, startedAt: string): Promise<GuestStateFile> {
  await mkdir(path.dirname(file), { recursive: true });
  let unwritten: GuestCondition | undefined;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const writeAll = async (): Promise<void> => {
    while (unwritten !== undefined) {
      const text = JSON.stringify({ startedAt, ...unwritten });
      unwritten = undefined;
      await writeFileAtomically(file, text).catch(() => undefined);
    }
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeAll().finally(() => (writing = undefined));
    return writing;
  };
  return {
    flush,
    write: (condition, when) => {
      unwritten = condition;
      if (when === "now") void flush();
      else timer ??= setTimeout(() => void flush(), WRITE_PERIOD_MS).unref();
    },
  };
}
