#!/bin/sh
# Builds the program disk of @Name@, a name server: sh build.sh
# It writes vmlinuz, initrd.img and root.img; an unchanged rebuild gives the same bytes.
set -eu
cd "$(dirname "$0")"
. guest/builder/tiny.sh

tiny_begin
tiny_program dnsmasq-base /usr/sbin/dnsmasq
copy_files root
tiny_finish 32M
