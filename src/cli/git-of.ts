/** How the verbs call git. */
import { openGit, type Git, type OnTransfer } from "../git/git.ts";
import type { CliContext } from "./context.ts";

/** In the folder the command was given in, with its environment; on a terminal long transfers say how far they are. */
export function gitOf({ cwd, env, showStatus }: CliContext): Git {
  const onProgress = showStatus === undefined ? undefined : showTransfers(showStatus);
  return openGit({ folder: cwd, env, onProgress });
}

/** What takes less is over before it is read. */
const SHOWN_AFTER_MS = 500;

const STAGES = {
  remote: "the other side prepares",
  receiving: "receiving",
  resolving: "unpacking",
  writing: "sending",
} as const;

/** One line for all of them: the one that was heard of last. */
export function showTransfers(
  showStatus: (text: string) => void,
  now: () => number = () => performance.now(),
): OnTransfer {
  const beganAt = new Map<string, number>();
  return (url, progress) => {
    const began = beganAt.get(url) ?? now();
    beganAt.set(url, began);
    if (progress === undefined) {
      beganAt.delete(url);
      showStatus("");
    } else if (now() - began >= SHOWN_AFTER_MS) {
      showStatus(`${url}: ${STAGES[progress.stage]}, ${progress.percent} %`);
    }
  };
}
