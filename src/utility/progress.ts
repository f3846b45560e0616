/** What an operation tells while it runs; `cli/` renders it. Never given a sensitive value. */

export interface Progress {
  /** A piece of work begins: `start w on h1`. */
  begin(id: string, title: string): void;
  end(id: string, detail?: string): void;
  fail(id: string, message: string): void;
  skip(id: string, message: string): void;
  note(text: string): void;
}

/** For callers that do not look. */
export const SILENT: Progress = {
  begin: () => undefined,
  end: () => undefined,
  fail: () => undefined,
  skip: () => undefined,
  note: () => undefined,
};
