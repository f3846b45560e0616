/** One line an event, with its time first: what a journal shows of a runner. */
import { visible } from "../../diagnostics.ts";

export type Log = (text: string) => void;

export function createLog(print: (line: string) => void, now: () => Date = () => new Date()): Log {
  return (text) => {
    print(`${now().toISOString()} ${visible(text.replaceAll(/\s*\n\s*/g, "; "))}`);
  };
}
