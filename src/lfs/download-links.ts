/** Links to objects, asked for together, kept while they live, and asked for anew in one flight when they do not. */
import type { Oid } from "../disk/object-store.ts";
import { objectMissing } from "./local-store.ts";
import type { LfsPointer } from "./pointer.ts";
import type { LfsApi } from "./api.ts";
import { askBatch, BATCH_SIZE, type BatchedObject, type LfsAction } from "./batch.ts";
import { addressOf, statusError, unexpectedReply } from "./lfs-errors.ts";

export interface DownloadLinks {
  /** @throws CollectiveError REPOSITORY_OBJECT_MISSING, LFS_REFUSED and those of the batch API */
  linkTo(object: LfsPointer): Promise<LfsAction>;
  /** Where a link led to in the end, so that the next range need not be redirected. */
  moved(oid: Oid, link: LfsAction, to: Pick<LfsAction, "href" | "headers">): LfsAction;
  /** It was refused: whoever still has it gets a new one. */
  forget(oid: Oid, link: LfsAction): void;
}

/** Those who ask within this time share one call. */
const GATHER_MS = 2;

export function downloadLinks(api: LfsApi, where: string): DownloadLinks {
  const links = new Map<Oid, LfsAction>();
  const asked = new Map<Oid, Promise<LfsAction>>();
  let gathering: Gathering | undefined;
  const ask = (object: LfsPointer): Promise<BatchedObject> => {
    if (gathering === undefined || gathering.objects.length >= BATCH_SIZE) {
      const gathered: Gathering = gather(api, () => {
        if (gathering === gathered) gathering = undefined;
      });
      gathering = gathered;
    }
    gathering.objects.push(object);
    return gathering.answer.then((answers) => {
      const answer = answers.get(object.oid);
      if (answer === undefined) throw new Error("the batch API's answer was checked to have every object");
      return answer;
    });
  };
  const renew = async (object: LfsPointer): Promise<LfsAction> => {
    const link = await linkIn(await ask(object), { api, where });
    links.set(object.oid, link);
    return link;
  };
  return {
    linkTo: (object) => {
      const known = links.get(object.oid);
      if (known !== undefined && Date.now() < known.renewAtMs) return Promise.resolve(known);
      const flight = asked.get(object.oid) ?? renew(object).finally(() => asked.delete(object.oid));
      asked.set(object.oid, flight);
      return flight;
    },
    moved: (oid, link, { href, headers }) => {
      if (links.get(oid) !== link || href === link.href) return link;
      const target = { ...link, href, headers };
      links.set(oid, target);
      return target;
    },
    forget: (oid, link) => {
      if (links.get(oid) === link) links.delete(oid);
    },
  };
}

interface Gathering {
  readonly objects: LfsPointer[];
  readonly answer: Promise<ReadonlyMap<Oid, BatchedObject>>;
}

function gather(api: LfsApi, onClose: () => void): Gathering {
  const objects: LfsPointer[] = [];
  const answer = new Promise<void>((resolve) => setTimeout(resolve, GATHER_MS)).then(async () => {
    onClose();
    const answers = await askBatch(api, "download", objects);
    return new Map(answers.map((object) => [object.oid, object]));
  });
  return { objects, answer };
}

async function linkIn(
  { oid, actions, error }: BatchedObject,
  { api, where }: { api: LfsApi; where: string },
): Promise<LfsAction> {
  if (error?.code === 404 || error?.code === 410) throw objectMissing(oid, where);
  const address = addressOf(await api.where());
  if (error !== undefined)
    throw statusError({ status: error.code, where: `${address} for ${oid}`, said: error.message });
  if (actions.download === undefined) throw unexpectedReply(address, `without a link to ${oid}`);
  return actions.download;
}
