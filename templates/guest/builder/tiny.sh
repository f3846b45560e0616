# shellcheck shell=sh
# Builds a tiny appliance: Debian's cloud kernel, busybox, the guest scripts and what the service needs. A build script does
#   . guest/builder/tiny.sh; tiny_begin; tiny_modules …; tiny_program PACKAGE FILE; copy_files root; tiny_finish 32M
# and gets vmlinuz, initrd.img and root.img in the folder it runs in.

. "${guest:-guest}/builder/common.sh"

# tiny_begin: a root folder with busybox, the guest scripts and the modules every machine needs.
tiny_begin() {
  begin
  modules='virtio_pci virtio_blk virtio_net virtio_console virtio_rng qemu_fw_cfg button evdev'

  mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/lib64" "$root/proc" "$root/run" "$root/sys" "$root/tmp" \
    "$root/usr/bin" "$root/var/lib" "$root/mnt" "$root/root"
  chmod 1777 "$root/tmp"
  # Relative, so that what is copied below them stays in this folder.
  ln -s bin "$root/sbin"
  ln -s ../bin "$root/usr/sbin"
  ln -s ../run "$root/var/run"
  cp "$busybox" "$root/bin/busybox"
  for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  sh "$guest/install.sh" "$root" tiny
}

# tiny_modules NAME…: kernel modules to load at boot.
tiny_modules() {
  modules="$modules $*"
}

# tiny_program PACKAGE FILE…: programs of a Debian package with the libraries they use.
tiny_program() {
  package=$1
  shift
  package_trees "$package" >"$work/trees"
  libraries=$(sed 's|.*|&/lib/x86_64-linux-gnu:&/usr/lib/x86_64-linux-gnu|' "$work/trees" | tr '\n' :)
  for program in "$@"; do
    source=$(find_in_trees "$program") || die "the package $package has no file $program"
    put "$source" "$program"
    copy_libraries "$source"
  done
}

find_in_trees() {
  while IFS= read -r tree; do
    if [ -f "$tree$1" ]; then
      printf '%s\n' "$tree$1"
      return 0
    fi
  done <"$work/trees"
  return 1
}

# The packages' own dynamic linker says which libraries a program loads, whatever is installed on this machine.
copy_libraries() {
  linker=$(find_in_trees /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2) || return 0
  put "$linker" /lib64/ld-linux-x86-64.so.2
  "$linker" --library-path "$libraries" --list "$1" >"$work/libraries" || die "$1 cannot be linked"
  awk '$2 == "=>" && $1 !~ "/" { print $1, $3 }' "$work/libraries" | while read -r name file; do
    case $file in
      "$cache"/*) put "$file" "/lib/x86_64-linux-gnu/$name" ;;
      *) die "$1 needs $name, which none of its packages has" ;;
    esac
  done
}

# tiny_finish SIZE: writes vmlinuz, initrd.img and root.img.
tiny_finish() {
  # shellcheck disable=SC2086
  copy_modules "$root" $modules
  finish "$1"
}
