#!/bin/sh
# Builds the program disk of @Name@, a Debian system: sudo sh build.sh
# It writes vmlinuz, initrd.img and root.img. Name the packages of the service behind debian_begin.
set -eu
cd "$(dirname "$0")"
. guest/builder/debian.sh

debian_begin
copy_files root
debian_finish 1G
