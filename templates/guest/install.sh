#!/bin/sh
# sh install.sh ROOT tiny|systemd: puts the guest scripts into a root folder. What uses them adds executables to
# /etc/collective/start.d and /etc/collective/reload.d.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$1

mkdir -p "$root/usr/lib/collective" "$root/usr/bin" "$root/etc/collective/start.d" "$root/etc/collective/reload.d"
cp "$here"/lib/* "$root/usr/lib/collective/"
cp "$here"/bin/* "$root/usr/bin/"
case $2 in
  tiny)
    cp "$here/tiny/tiny-boot" "$here/tiny/tiny-shutdown" "$root/usr/lib/collective/"
    cp "$here/tiny/supervise" "$here/tiny/await-port" "$root/usr/bin/"
    cp "$here/tiny/status-hook" "$root/etc/collective/start.d/90-status"
    cp "$here/tiny/status-hook" "$root/etc/collective/reload.d/90-status"
    mkdir -p "$root/usr/lib/collective/status/cgi-bin"
    cp "$here/tiny/status-page" "$root/usr/lib/collective/status/cgi-bin/index.cgi"
    mkdir -p "$root/etc/acpi/PWRF"
    cp "$here/tiny/power-button" "$root/etc/acpi/PWRF/00000080"
    cp "$here/tiny/inittab" "$root/etc/inittab"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
    ;;
  systemd)
    units=$root/usr/lib/systemd/system
    for unit in "$here"/systemd/*.service; do
      name=${unit##*/}
      target=$(sed -n 's/^WantedBy=//p' "$unit").wants
      mkdir -p "$units/$target"
      cp "$unit" "$units/"
      ln -sf "../$name" "$units/$target/$name"
    done
    mkdir -p "$units/serial-getty@ttyS0.service.d" "$root/usr/lib/modules-load.d"
    cp "$here/systemd/serial-console.conf" "$units/serial-getty@ttyS0.service.d/"
    cp "$here/systemd/modules.conf" "$root/usr/lib/modules-load.d/collective.conf"
    ;;
  *)
    echo 'usage: sh install.sh ROOT tiny|systemd' >&2
    exit 2
    ;;
esac
