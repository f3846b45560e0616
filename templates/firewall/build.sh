#!/bin/sh
# Builds the program disk of @Name@, a gateway: sh build.sh
# It writes vmlinuz, initrd.img and root.img; an unchanged rebuild gives the same bytes.
set -eu
cd "$(dirname "$0")"
. guest/builder/tiny.sh

tiny_begin
tiny_modules nft_chain_nat nft_ct nft_nat nft_masq
tiny_program nftables /usr/sbin/nft
copy_files root
tiny_finish 32M
