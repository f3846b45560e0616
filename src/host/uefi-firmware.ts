/** The UEFI firmware of a host, Debian's package ovmf. */
import { access, constants } from "node:fs/promises";

/** Debian's package ovmf. */
export const UEFI_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd";

export async function hasUefiFirmware(): Promise<boolean> {
  return access(UEFI_CODE, constants.R_OK).then(
    () => true,
    () => false,
  );
}
