/**
 * What a machine may have at most, in one place: told by `cui check` and `cui plan` where it is written, and checked once more by the
 * host, whoever calls it. Hosts of adjacent releases know the same numbers: they may grow there first, and shrink nowhere.
 */

/**
 * Characters of a component's dotted path. Hosts name folders after it (255 bytes with what is beside it), libvirt its domain (cut at
 * 120, told apart by a digest), the state a file of its record. Ports of Open vSwitch (15) and sockets (107) have digests in its place.
 */
export const MAX_COMPONENT_PATH = 160;

/** `office-3f2a1c`: the id of a network, and what a host's folders begin with. */
export const MAX_NETWORK_ID = 36;

/** Characters of an interface's name; its ports have a number in its place. */
export const MAX_INTERFACE_NAME = 64;

/** A machine has 32 PCI slots, and a port's name room for two digits. */
export const MAX_INTERFACES = 28;

export const MAX_DATA_DISKS = 64;
export const MAX_PROGRAM_DISKS = 64;

/** What is sent to a guest, encoded: characters of one line `name=value`, lines, and characters of all. */
export const MAX_PARAMETER_LINE = 65_536;
export const MAX_PARAMETER_LINES = 10_000;
export const MAX_PARAMETER_CHARACTERS = 4 * 1024 * 1024;

/** Of a VM description. Linux takes 2048 bytes of a command line on most machines. */
export const MAX_KERNEL_COMMAND_LINE = 2000;
export const MAX_ARCHITECTURE_NAME = 20;
export const MAX_CPUS = 512;
/** Of memory, and of a disk: 64 TiB. */
export const MAX_SIZE_BYTES = 2 ** 46;
/** Of a URL, and of a path inside a repository. */
export const MAX_LOCATION = 4096;
