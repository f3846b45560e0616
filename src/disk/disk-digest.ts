/** The digest of a disk's content, from its chunks as they come. @see docs/disk-format.md, "Disk digest" */
import { createHash } from "node:crypto";
import { CHUNK_BYTES, DIGEST_BYTES, recordsInShard, SHARD_CHUNKS } from "./format.ts";

export interface DiskDigest {
  /** A chunk that is not zero, plain; positions ascend. */
  add(position: number, plain: Uint8Array): void;
  /** 64 hex digits: what `indexDigest` says of an index of the same content. */
  end(): string;
}

export function createDiskDigest(sizeBytes: number): DiskDigest {
  const hash = createHash("sha256").update(digestHead(sizeBytes));
  let shard = -1;
  let digests = Buffer.alloc(0);
  const finishShard = (): void => {
    if (shard === -1) return;
    const number = Buffer.alloc(4);
    number.writeUInt32BE(shard);
    hash.update(number).update(createHash("sha256").update(digests).digest());
  };
  return {
    add: (position, plain) => {
      const its = Math.floor(position / SHARD_CHUNKS);
      if (its !== shard) {
        finishShard();
        shard = its;
        digests = Buffer.alloc(recordsInShard(sizeBytes, shard) * DIGEST_BYTES);
      }
      createHash("sha256")
        .update(plain)
        .digest()
        .copy(digests, (position % SHARD_CHUNKS) * DIGEST_BYTES);
    },
    end: () => {
      finishShard();
      return hash.digest("hex");
    },
  };
}

export function digestHead(sizeBytes: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64BE(BigInt(sizeBytes), 0);
  head.writeUInt32BE(CHUNK_BYTES, 8);
  return Buffer.concat([Buffer.from("collective disk 1\n"), head]);
}
