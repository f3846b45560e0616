/** The chunks of an export that is open on a host, as they come. */
import { CHUNK_BYTES } from "../../disk/format.ts";
import { chunksIn, type PlainChunk } from "../../disk/nbd/disk-chunks.ts";
import { CollectiveError } from "../../errors.ts";
import type { Host } from "../../host/host.ts";
import { withinLimit } from "./ask-hosts.ts";

interface Piece {
  readonly start: number;
  readonly bytes: Buffer;
  readonly end: number;
}

/** A disk that hangs for a while is waited for. */
const READ_LIMIT_MS = 120_000;

/** What is not zero, ascending; the next piece is on its way while the caller works on one. */
export async function* readExported(
  host: Pick<Host, "readExport">,
  what: { readonly exportId: string; readonly sizeBytes: number; readonly address: string },
): AsyncGenerator<PlainChunk, void> {
  const read = async (offset: number): Promise<Piece> => {
    const asked = host.readExport(what.exportId, offset);
    const { zeroBytes, data } = await withinLimit(asked, what.address, READ_LIMIT_MS);
    return checked({ start: offset + zeroBytes, bytes: Buffer.from(data, "base64") }, what.sizeBytes);
  };
  let reading = read(0);
  for (;;) {
    const { start, bytes, end } = await reading;
    if (end < what.sizeBytes) {
      reading = read(end);
      reading.catch(() => undefined); // told when its turn comes
    }
    yield* chunksIn(bytes, start, what.sizeBytes);
    if (end === what.sizeBytes) return;
  }
}

/** A host that says less than there is would have it taken for zeros. */
function checked({ start, bytes }: Omit<Piece, "end">, sizeBytes: number): Piece {
  const end = start + bytes.length;
  const isWhole = start % CHUNK_BYTES === 0 || start === sizeBytes;
  const isAligned = end === sizeBytes || (end % CHUNK_BYTES === 0 && bytes.length > 0);
  if (isWhole && isAligned && end <= sizeBytes) return { start, bytes, end };
  throw new CollectiveError(
    "HOST_ANSWER_INVALID",
    `the host answered readExport with something else than expected: bytes ${start} to ${end} of ${sizeBytes}`,
    { data: { start, end, sizeBytes }, hint: "manager and host may be of releases too far apart" },
  );
}
