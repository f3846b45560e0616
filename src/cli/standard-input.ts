/** Standard input as a whole, for what git's hooks are told. */
import { CollectiveError } from "../errors.ts";

const MAX_BYTES = 64 * 1024 * 1024;

/** @throws CollectiveError INVALID_INPUT when it is larger than 64 MiB. */
export async function readStandardInput(): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > MAX_BYTES) {
      throw new CollectiveError("INVALID_INPUT", "standard input is larger than 64 MiB", {
        hint: "push fewer branches and tags at once",
      });
    }
  }
  return Buffer.concat(pieces).toString("utf8");
}
