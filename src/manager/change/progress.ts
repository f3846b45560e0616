/** What an operation tells while it runs; `cli/` renders it. Never given a sensitive value. */

export interface Progress {
  /** A piece of work begins: `start w on h1`. */
  begin(id: string, title: string): void;
  end(id: string, detail?: string): void;
  fail(id: string, message: string): void;
  skip(id: string, message: string): void;
  note(text: string): void;
}

/** For one of several operations at the same time: ids and titles begin with its name. */
export function prefixed(progress: Progress, name: string): Progress {
  const id = (text: string): string => `${name}: ${text}`;
  return {
    begin: (step, title) => {
      progress.begin(id(step), id(title));
    },
    end: (step, detail) => {
      progress.end(id(step), detail);
    },
    fail: (step, message) => {
      progress.fail(id(step), message);
    },
    skip: (step, message) => {
      progress.skip(id(step), id(message));
    },
    note: (text) => {
      progress.note(id(text));
    },
  };
}
