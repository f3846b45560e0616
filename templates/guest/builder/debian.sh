# shellcheck shell=sh
# Builds a Debian appliance with mmdebstrap; needs root, because the files of the system keep their owners. A build script does
#   . guest/builder/debian.sh; debian_begin PACKAGE…; copy_files root; debian_finish 1G
# and gets vmlinuz, initrd.img and root.img. The release is that of the building machine's sources, or DEBIAN_SUITE.

. "${guest:-guest}/builder/common.sh"

# debian_begin PACKAGE…: the system with systemd, the guest scripts and the named packages.
debian_begin() {
  [ "$(id -u)" = 0 ] || die 'a Debian system is built by root: sudo sh build.sh'
  command -v mmdebstrap >/dev/null || die 'mmdebstrap is not installed (apt-get install mmdebstrap)'
  begin
  packages=systemd-sysv,udev,dbus,kmod,iproute2,e2fsprogs
  for package in "$@"; do packages=$packages,$package; done
  sources=/etc/apt/sources.list.d/debian.sources
  if [ -n "${DEBIAN_SUITE-}" ] || [ ! -e $sources ]; then
    set -- "${DEBIAN_SUITE:-bookworm}" "$root"
  else
    set -- '' "$root" $sources
  fi
  mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' "$@" ||
    die 'mmdebstrap failed'
  sh "$guest/install.sh" "$root" systemd
  same_every_time
}

# What a build would leave differently each time is made by the guest itself, or not needed.
same_every_time() {
  : >"$root/etc/machine-id"
  rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id" "$root/var/cache/ldconfig/aux-cache"
  rm -rf "$root"/var/log/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  # systemd renews its caches when /usr is newer than these.
  touch "$root/etc/.updated" "$root/var/.updated"
}

# debian_finish SIZE: with all modules of the kernel.
debian_finish() {
  mkdir -p "$root/usr/lib/modules"
  cp -R "$kernel_tree/lib/modules/$kernel_release" "$root/usr/lib/modules/"
  chroot "$root" depmod "$kernel_release"
  owner_is_root=false
  finish "$1"
}
