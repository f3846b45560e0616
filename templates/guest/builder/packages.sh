# shellcheck shell=sh
# Debian packages as building material: downloaded with apt into a cache, unpacked, never installed. Root is not needed.
# What apt verifies and downloads is kept under ${XDG_CACHE_HOME:-~/.cache}/cui; builds may run at the same time.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/cui
mkdir -p "$cache/debs/partial" "$cache/trees" "$cache/lists/partial"

die() {
  echo "error: $*" >&2
  exit 1
}

# with_cache_lock COMMAND…: one build at a time changes the cache. The lock lies with the packages, which caches may share.
with_cache_lock() {
  (
    flock 9
    "$@"
  ) 9>"$cache/debs/cui.lock"
}

# package_trees NAME…: prints the folder of each package that the named packages need, themselves included, one a line.
package_trees() {
  with_cache_lock fetch_closure "$@" || exit 1
}

# package_tree NAME: prints the folder of that one package, without what it depends on.
package_tree() {
  with_cache_lock fetch_one "$1" || exit 1
}

fetch_closure() {
  files=$(resolve closure "$@") || return 1
  for file in $files; do
    [ -e "$cache/debs/$file" ] || {
      apt install --download-only "$@" >/dev/null || return 1
      break
    }
  done
  for file in $files; do unpack "$file" || return 1; done
}

fetch_one() {
  files=$(resolve one "$1") || return 1
  if [ ! -e "$cache/debs/$files" ]; then
    (cd "$cache/debs/partial" && apt download "$1" >/dev/null && mv "$files" ..) || return 1
  fi
  unpack "$files"
}

# resolve closure|one NAME…: the names of the .deb files. The answer changes only with the lists of packages; when they
# cannot be had, the last answer is good enough.
resolve() {
  how=$1
  shift
  answer=$cache/debs/resolved-$how-$(printf '%s_' "$@")
  if [ -s "$answer" ] && [ -n "$(find "$answer" -newer "$(lists_folder)")" ]; then
    cat "$answer"
    return 0
  fi
  name=$1
  case $how in
    closure) set -- install -o Dir::Cache::archives=none --print-uris "$@" ;;
    one) set -- download --print-uris "$@" ;;
  esac
  if apt "$@" 2>/dev/null >"$answer.new" || { update_lists && apt "$@" >"$answer.new"; }; then
    awk '$2 ~ /\.deb$/ { print $2 }' "$answer.new" | LC_ALL=C sort >"$answer"
  fi
  rm -f "$answer.new"
  [ -s "$answer" ] || die "apt does not find the package $name; see to the lists of packages (apt-get update)"
  cat "$answer"
}

lists_folder() {
  if [ -e "$cache/lists/updated" ]; then echo "$cache/lists"; else echo /var/lib/apt/lists; fi
}

# apt ACTION ARGUMENT…: as if nothing were installed, so that every build finds the same; nothing of the system is changed.
apt() {
  apt-get -qq -y --no-install-recommends -o Dir::State::lists="$(lists_folder)" -o Dir::State::status=/dev/null -o Dir::Cache="$cache" -o Dir::Cache::archives=debs \
    -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@"
}

# A machine whose package lists are empty, or not ours to renew, gets lists in the cache.
update_lists() {
  echo 'Fetching the lists of Debian packages.' >&2
  apt-get -qq -o Dir::State::lists="$cache/lists" -o Dir::Cache="$cache" -o APT::Sandbox::User= \
    -o Debug::NoLocking=1 update >&2 && echo yes >"$cache/lists/updated"
}

# unpack FILE: prints the folder; one that is there is complete.
unpack() {
  tree=$cache/trees/${1%.deb}
  if [ ! -d "$tree" ]; then
    rm -rf "$tree.new"
    mkdir -p "$tree.new"
    dpkg-deb -x "$cache/debs/$1" "$tree.new" || return 1
    mv "$tree.new" "$tree"
  fi
  printf '%s\n' "$tree"
}
