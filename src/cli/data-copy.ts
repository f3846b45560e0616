/** What `cui data export` and `cui attic restore --file` share: options, progress, and what an interruption does. */
import path from "node:path";
import { Option, type Command } from "commander";
import { CollectiveError } from "../errors.ts";
import type { ExportResult, ExportTarget } from "../manager/data/export-data.ts";
import type { CliContext } from "./context.ts";
import { renderBytes, renderTime } from "./sizes.ts";

export interface CopyFlags {
  readonly format: "qcow2" | "raw";
  readonly force?: boolean;
}

export function addCopyOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--format <format>", "qcow2 (sparse anywhere), or raw")
        .choices(["qcow2", "raw"])
        .default("qcow2"),
    )
    .option("--force", "replace the file, where there is one; never a device or a pipe");
}

/** Runs `copy`; Ctrl-C and SIGTERM end it with nothing left of the file, and the export on the host closed. */
export async function copyToFile(
  context: CliContext,
  { file, flags, name }: { readonly file: string; readonly flags: CopyFlags; readonly name: string },
  copy: (target: ExportTarget) => Promise<ExportResult>,
): Promise<ExportResult> {
  const abort = new AbortController();
  const interrupt = (): void => {
    const hint = "run the command again; nothing of the file is left";
    abort.abort(new CollectiveError("JOB_CANCELLED", "the copy was interrupted", { hint }));
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, interrupt);
  try {
    return await copy({
      target: path.resolve(context.cwd, file),
      format: flags.format,
      replace: flags.force === true,
      signal: abort.signal,
      onProgress: ({ stage, doneBytes, totalBytes }) => {
        const verb = stage === "write" ? "copying" : "reading back";
        const total = stage === "write" ? ` of about ${renderBytes(totalBytes)}` : "";
        context.showStatus?.(`${verb} ${name}: ${renderBytes(doneBytes)}${total}`);
      },
    });
  } finally {
    context.showStatus?.("");
    for (const signal of signals) process.removeListener(signal, interrupt);
  }
}

/** `out.qcow2: vdb of w on h1 as of 2026-11-29 09:46 UTC, 20 GiB, 3 GiB of it data, digest …` */
export function renderCopy(
  result: ExportResult,
  { file, name }: { readonly file: string; readonly name: string },
): string[] {
  const { host, takenAt, sizeBytes, dataBytes, digest, isRunning } = result;
  const size = `${renderBytes(sizeBytes)}, ${renderBytes(dataBytes)} of it data`;
  return [
    `${file}: ${name} on ${host} as of ${renderTime(takenAt)} UTC, ${size}; read back and compared, digest ${digest}`,
    ...(isRunning ? ["  its machine ran on: the disk is as after a power cut at that moment"] : []),
  ];
}

export function copyToJson(
  { target, format }: { readonly target: string; readonly format: string },
  result: ExportResult,
): string {
  return JSON.stringify({ file: target, format, ...result }, undefined, 2);
}
