# shellcheck shell=sh
# shellcheck disable=SC2154 # work and cache are set by common.sh and packages.sh
# Debian's cloud kernel, taken from its package: vmlinuz, modules, and an initrd that only mounts the root disk.

# use_kernel: sets kernel_tree, kernel_release and busybox, whose depmod and cpio are used: not those of this machine, if any.
use_kernel() {
  [ "$(dpkg --print-architecture)" = amd64 ] || die 'these appliances are for x86_64 and are built on amd64'
  busybox=$(package_tree busybox-static)/bin/busybox
  package_tree linux-image-cloud-amd64 >/dev/null || exit 1
  meta=$(cat "$cache/debs/resolved-one-linux-image-cloud-amd64_")
  # The package that really holds the kernel, by name and version: `linux-image-6.1.0-1-cloud-amd64 (= 6.1.1-1)`.
  kernel_package=$(dpkg-deb -f "$cache/debs/$meta" Depends | sed 's/ .*//')
  kernel_tree=$(package_tree "$kernel_package") || exit 1
  kernel_release=${kernel_package#linux-image-}
  [ -e "$kernel_tree/lib/modules/$kernel_release/modules.dep" ] ||
    with_cache_lock "$busybox" depmod -b "$kernel_tree" "$kernel_release"
}

# module_files NAME…: the files of the modules and of all they need, below /lib/modules/<release>, in the order to load them.
module_files() {
  for module in "$@"; do
    line=$(grep -E "/$(printf '%s' "$module" | sed 's/[_-]/[_-]/g')\.ko:" "$kernel_tree/lib/modules/$kernel_release/modules.dep") ||
      die "the kernel $kernel_release has no module $module"
    # The line names what a module needs last to first.
    printf '%s\n' "$line" | tr -d : | tr ' ' '\n' | sed '1!G;h;$!d'
  done | awk 'NF && !seen[$0]++'
}

# copy_modules ROOT NAME…: into ROOT, with what modprobe needs to find them.
copy_modules() {
  modules_root=$1
  shift
  for file in $(module_files "$@"); do
    target=$modules_root/lib/modules/$kernel_release/$file
    mkdir -p "${target%/*}"
    cp "$kernel_tree/lib/modules/$kernel_release/$file" "$target"
  done
  "$busybox" depmod -b "$modules_root" "$kernel_release"
  printf '%s\n' "$@" >"$modules_root/etc/modules"
}

# make_boot_files FOLDER INIT: writes vmlinuz and initrd.img, the same bytes for the same kernel.
make_boot_files() {
  cp "$kernel_tree/boot/vmlinuz-$kernel_release" "$1/vmlinuz"
  initrd=$work/initrd
  mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/proc" "$initrd/root" "$initrd/modules"
  cp "$busybox" "$initrd/bin/busybox"
  cp "$2" "$initrd/init"
  chmod 755 "$initrd/init"
  for file in $(module_files virtio_pci virtio_blk); do
    cp "$kernel_tree/lib/modules/$kernel_release/$file" "$initrd/modules/"
    printf '%s\n' "/modules/${file##*/}" >>"$initrd/modules/order"
  done
  find "$initrd" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$initrd" && find . | LC_ALL=C sort | "$busybox" cpio -o -H newc -R 0:0 --renumber-inodes --ignore-devno) >"$1/initrd.img" 2>"$work/cpio.log" ||
    die "cpio: $(cat "$work/cpio.log")"
}
