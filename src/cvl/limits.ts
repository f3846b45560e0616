/** Bounds on what a file may make us do. An error that comes from one names it by these words. */

/** Characters of one file; where it is read, bytes. */
export const MAX_FILE_CHARACTERS = 32 * 1024 * 1024;
/** Characters of all files of an import closure. */
export const MAX_CLOSURE_CHARACTERS = 32 * 1024 * 1024;
/** Names, strings, signs and comments of one file, and of all files of an import closure. */
export const MAX_TOKENS = 2 * 1024 * 1024;
/** Characters of a name. */
export const MAX_NAME_LENGTH = 255;
/** Characters of a path as it is written, and of a parameter's full path in the instance tree. */
export const MAX_PATH_LENGTH = 4096;
/** Files of an import closure. */
export const MAX_FILES = 1000;
/** Files from the root to the farthest import. */
export const MAX_IMPORT_DEPTH = 64;
/** Maps inside maps. */
export const MAX_MAP_NESTING = 64;
/** Classes from an object up to its predefined base. */
export const MAX_INHERITANCE_DEPTH = 256;
/** Networks inside networks. */
export const MAX_COMPONENT_DEPTH = 64;
/** Components of the whole instance tree. */
export const MAX_COMPONENTS = 250_000;
/** Characters of the full paths of all components together. */
export const MAX_PATHS_SIZE = 64 * 1024 * 1024;
/** Parameters of all components together. */
export const MAX_PARAMETERS = 4_000_000;
/** Size of one parameter's value: its characters, 8 for each element, and 100 for each that is not known. */
export const MAX_VALUE_SIZE = 4 * 1024 * 1024;
/** Size of the values of all parameters together. */
export const MAX_TOTAL_VALUE_SIZE = 128 * 1024 * 1024;
/** Size of all values that are made on the way to them: each list that is put together, each map that is escaped. */
export const MAX_WORK = 256 * 1024 * 1024;
/** Diagnostics that are reported before the rest is only counted as "more". */
export const MAX_DIAGNOSTICS = 200;
/** Import statements of an import closure. */
export const MAX_IMPORTS = 10_000;
/** Objects, and the parameters, components and ancestors each of them has, inherited ones included, of all files. */
export const MAX_BOUND_NAMES = 2_000_000;
