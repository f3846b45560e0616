# shellcheck shell=sh
# shellcheck disable=SC2154 # work, busybox and cache are set by common.sh and packages.sh
# From a folder to an ext4 image that is the same, byte for byte, whenever and by whomever it is made.

# make_image FOLDER FILE SIZE LABEL: SIZE as mke2fs reads it (`48M`). Root owns everything in it when `owner_is_root` is set.
make_image() {
  rm -f "$2.new"
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  truncate -s "$3" "$2.new"
  id=$(printf '%s' "$4" | md5sum | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-4\3-8\4-\5/')
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -I 256 -m 0 -U "$id" -L "$4" \
    -O ^has_journal,^metadata_csum,^resize_inode -E "hash_seed=$id,lazy_itable_init=0,root_owner=0:0" \
    -d "$1" "$2.new" >"$work/mke2fs.log" 2>&1 || die "mke2fs: $(tail -n 1 "$work/mke2fs.log")"
  # mke2fs takes the time of change and the owner from the building machine.
  fixups "$1" >"$work/fixups"
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH debugfs -w -f "$work/fixups" "$2.new" >/dev/null 2>"$work/debugfs.log"
  [ "$(wc -l <"$work/debugfs.log")" -le 1 ] || die "debugfs: $(tail -n 1 "$work/debugfs.log")"
  mv "$2.new" "$2"
}

fixups() {
  (cd "$1" && find . | LC_ALL=C sort) | while IFS= read -r file; do
    file=/${file#.}
    printf 'set_inode_field "%s" ctime @%s\n' "${file#/}" "$SOURCE_DATE_EPOCH"
    if ${owner_is_root:-true}; then
      printf 'set_inode_field "%s" uid 0\nset_inode_field "%s" gid 0\n' "${file#/}" "${file#/}"
    fi
  done
}
