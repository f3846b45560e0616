/** Asking the running services, from the lab's outside namespace. */
import type { Office } from "./office.ts";
import { REPOSITORY_ROOT } from "./office.ts";
import path from "node:path";
import type { Answer } from "../../scripts/quickstart/ask.ts";

export interface Page {
  readonly version: string;
  readonly starts: number;
  readonly uptime: number;
  readonly text: string;
}

/** Resolves `name` at the DNS appliance through the firewall's public address and fetches its page. */
export async function ask(office: Office, gateway: string, name: string): Promise<Answer & { web: Page }> {
  const script = path.join(REPOSITORY_ROOT, "scripts/quickstart/ask.ts");
  const answer = JSON.parse(await office.exec("outside", process.execPath, script, gateway, name)) as Answer;
  return { ...answer, web: readPage(answer.page) };
}

function readPage(page: string): Page {
  const field = (id: string): string => new RegExp(`id="${id}">([^<]*)<`).exec(page)?.[1]?.trim() ?? "";
  return {
    version: field("version"),
    starts: Number(field("starts")),
    uptime: Number(field("uptime")),
    text: page.replaceAll(/<[^>]+>/g, " "),
  };
}

export interface MachineStatus {
  readonly component: string;
  readonly state: string;
  readonly version: number;
  readonly host: string;
  readonly addresses: Readonly<Record<string, string>>;
}

export async function machineStatus(office: Office): Promise<ReadonlyMap<string, MachineStatus>> {
  const { networks } = JSON.parse(await office.cui("status", "AcmeOffice.cvl", "--json")) as {
    networks: { machines: MachineStatus[] }[];
  };
  return new Map((networks[0]?.machines ?? []).map((machine) => [machine.component, machine]));
}
