# shellcheck shell=sh
# What every build of an appliance shares: a scratch folder, the kernel, safe copying, the last step.

set -eu
guest=$(cd "${guest:-guest}" && pwd)
. "$guest/builder/packages.sh"
. "$guest/builder/kernel.sh"
. "$guest/builder/image.sh"

: "${SOURCE_DATE_EPOCH:=1704067200}"
export SOURCE_DATE_EPOCH
PATH=$PATH:/usr/sbin:/sbin

# begin: a scratch folder that goes away with the build, the kernel and busybox from their packages. `root` is the root folder.
begin() {
  umask 022
  work=$(mktemp -d)
  # Never into a mount: a system that is being installed has the building machine's /dev in it.
  trap 'rm -rf --one-file-system "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  root=$work/root
  use_kernel
}

# put FILE PATH: copies a file into the root folder, in place of a link to busybox. A link that leads out of the folder is
# refused: the file would land on the building machine.
put() {
  folder=${2%/*}
  case $(readlink -m "$root$folder")/ in
    "$(readlink -m "$root")"/*) ;;
    *) die "$folder leads out of the root folder" ;;
  esac
  mkdir -p "$root$folder"
  rm -f "$root$2"
  cp -L "$1" "$root$2"
}

# copy_files FOLDER: the appliance's own files, laid over the root folder.
copy_files() {
  (cd "$1" && find . -type f -o -type l) >"$work/own"
  while IFS= read -r file; do put "$1/${file#./}" "/${file#./}"; done <"$work/own"
}

# finish SIZE: writes vmlinuz, initrd.img and root.img; a file VERSION becomes /etc/collective/version.
finish() {
  [ ! -e VERSION ] || put VERSION /etc/collective/version
  make_boot_files . "$guest/tiny/initrd-init"
  make_image "$root" root.img "$1" collective
  echo "built $(pwd): kernel $kernel_release, root.img $(du -k root.img | cut -f 1) KiB of $1"
}
