/** An operation's progress: a task list on a terminal, a line for each thing done anywhere else. */
import { visible } from "../diagnostics.ts";
import type { Progress } from "../manager/change/progress.ts";
import type { CliContext } from "./context.ts";

export interface ProgressView extends Progress {
  /** Waits until the last line is drawn. */
  close(): Promise<void>;
}

/** With `quiet` (for --json) the lines go to standard error. */
export function createProgressView(context: CliContext, options: { quiet: boolean }): ProgressView {
  if (context.isTerminal && !options.quiet) return createTaskList(context);
  return createLines((text) => {
    if (options.quiet) context.warn(text);
    else context.print(text);
  });
}

function createLines(print: (text: string) => void): ProgressView {
  const begun = new Map<string, { readonly title: string; readonly at: number }>();
  const line = (id: string, outcome: string): void => {
    const known = begun.get(id);
    if (known === undefined) return;
    print(`${known.title}: ${outcome}, ${((performance.now() - known.at) / 1000).toFixed(2)} s`);
  };
  return {
    begin: (id, title) => void begun.set(id, { title, at: performance.now() }),
    end: (id, detail) => {
      line(id, detail ?? "done");
    },
    fail: (id, message) => {
      line(id, `FAILED (${visible(firstLine(message))})`);
    },
    skip: (_, message) => {
      print(visible(message));
    },
    note: (text) => {
      print(visible(text));
    },
    close: () => Promise.resolve(),
  };
}

interface ShownTask {
  readonly id: string;
  readonly title: string;
  /** Resolves to what is worth saying about its end. */
  readonly done: Promise<string | undefined>;
}

interface OpenTask {
  end(detail: string | undefined): void;
  fail(message: string): void;
}

/** One list for each wave of work: a list ends with its last task, the next task begins another. */
function createTaskList(context: CliContext): ProgressView {
  const open = new Map<string, OpenTask>();
  let waiting: ShownTask[] = [];
  let drawn: Promise<unknown> = Promise.resolve();
  let isScheduled = false;
  const draw = (): void => {
    isScheduled = false;
    const tasks = waiting;
    waiting = [];
    drawn = drawn.then(() => drawTasks(tasks));
  };
  return {
    begin: (id, title) => {
      const done = new Promise<string | undefined>((resolve, reject) => {
        open.set(id, {
          end: resolve,
          fail: (message) => {
            reject(new Error(visible(firstLine(message))));
          },
        });
      });
      done.catch(() => undefined); // the list shows it when its turn comes
      waiting.push({ id, title, done });
      if (!isScheduled) setImmediate(draw);
      isScheduled = true;
    },
    end: (id, detail) => open.get(id)?.end(detail),
    fail: (id, message) => open.get(id)?.fail(message),
    skip: (_, message) => {
      context.warn(visible(message));
    },
    note: (text) => {
      context.warn(visible(text));
    },
    close: async () => {
      for (const task of open.values()) task.end(undefined); // what did not end will not any more
      await new Promise((resolve) => setImmediate(resolve));
      await drawn;
    },
  };
}

/** Loaded only here: without a terminal nothing of it is needed. */
async function drawTasks(tasks: readonly ShownTask[]): Promise<void> {
  const { Listr, PRESET_TIMER } = await import("listr2");
  const list = new Listr(
    tasks.map(({ title, done }) => ({
      title,
      task: async (_: unknown, task: { title: string }): Promise<void> => {
        const detail = await done;
        if (detail !== undefined) task.title = `${title}: ${detail}`;
      },
    })),
    { concurrent: true, exitOnError: false, rendererOptions: { timer: PRESET_TIMER } },
  );
  await list.run();
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
