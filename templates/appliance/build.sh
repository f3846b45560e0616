#!/bin/sh
# Builds the program disk of @Name@, a tiny appliance: sh build.sh
# It writes vmlinuz, initrd.img and root.img; an unchanged rebuild gives the same bytes.
set -eu
cd "$(dirname "$0")"
. guest/builder/tiny.sh

tiny_begin
copy_files root
tiny_finish 32M
