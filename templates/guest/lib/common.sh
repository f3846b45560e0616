# shellcheck shell=sh
# What the scripts of a Collective guest share: read it with `.`. Works in any POSIX shell.

LC_ALL=C
export LC_ALL
umask 077

: "${COLLECTIVE_LIB:=/usr/lib/collective}"
: "${COLLECTIVE_BIN:=/usr/bin}"
: "${COLLECTIVE_RUN:=/run/collective}"
: "${COLLECTIVE_ETC:=/etc/collective}"
: "${COLLECTIVE_SYS:=/sys}"
: "${COLLECTIVE_DEV:=/dev}"

# The set in force: a line `name=value` for each element; `%` and control characters of the value are %XX.
# shellcheck disable=SC2034
parameters_file=$COLLECTIVE_RUN/parameters

# Gives awk programs `decode(text)`: %XX becomes the byte. A NUL, which no file or argument could hold, is dropped.
# shellcheck disable=SC2034
awk_decode='
BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%02X", i)] = sprintf("%c", i) }
function decode(text,   out, at, hex) {
  out = ""
  while ((at = index(text, "%")) > 0) {
    hex = toupper(substr(text, at + 1, 2))
    if (hex ~ /^[0-9A-F][0-9A-F]$/) {
      out = out substr(text, 1, at - 1) byte[hex]
      text = substr(text, at + 3)
    } else {
      out = out substr(text, 1, at)
      text = substr(text, at + 1)
    }
  }
  return out text
}
'

# warn TEXT: a line for the console or the journal.
warn() {
  printf 'collective: %s\n' "$1" >&2
}

# say KEY=VALUE: tells the host. STATUS, READY and FAILED are kept and said again to a host that connects later.
say() {
  line=$(printf '%s' "$1" | tr '[:cntrl:]' ' ')
  warn "$line"
  mkdir -p "$COLLECTIVE_RUN"
  case $line in
    READY=* | RELOADED=*) rm -f "$COLLECTIVE_RUN/last.FAILED" ;;
  esac
  case $line in
    STATUS=* | READY=* | FAILED=*) printf '%s\n' "$line" >"$COLLECTIVE_RUN/last.${line%%=*}" ;;
  esac
  # Opened for reading too, so that it never waits for a channel that has just ended.
  if [ -e "$COLLECTIVE_RUN/connected" ] && [ -p "$COLLECTIVE_RUN/say" ]; then
    printf '%s\n' "$line" 1<>"$COLLECTIVE_RUN/say"
  fi
}

# fail TEXT: the appliance cannot do its work; the host is told why.
fail() {
  say "FAILED=$1"
  exit 1
}

# lock / unlock: one of them at a time changes the set in force. The link names its holder, so that a dead one is noticed.
lock() {
  mkdir -p "$COLLECTIVE_RUN"
  until ln -s "$$" "$COLLECTIVE_RUN/lock" 2>/dev/null; do
    holder=$(readlink "$COLLECTIVE_RUN/lock") && ! kill -0 "$holder" 2>/dev/null && rm -f "$COLLECTIVE_RUN/lock"
    sleep 0.1
  done
}

unlock() {
  rm -f "$COLLECTIVE_RUN/lock"
}

# valid_lines: copies the lines of standard input that are `name=value`; what else a file holds is no parameter.
valid_lines() {
  awk '/^[A-Za-z][A-Za-z0-9_.]*=/'
}

# changed_names OLD NEW: names whose lists differ, one a line, in the order of their first element.
changed_names() {
  awk '
    { at = index($0, "="); name = substr($0, 1, at - 1); value = substr($0, at) "\n" }
    !(name in seen) { seen[name] = 1; order[++count] = name }
    FILENAME == ARGV[1] { old[name] = old[name] value }
    FILENAME == ARGV[2] { new[name] = new[name] value }
    END { for (i = 1; i <= count; i++) if (old[order[i]] != new[order[i]]) print order[i] }
  ' "$1" "$2"
}

# run_hooks FOLDER [ARGUMENT…]: runs the executables of a folder of COLLECTIVE_ETC in order of name; names the first that fails.
run_hooks() {
  hooks=$COLLECTIVE_ETC/$1
  shift
  for hook in "$hooks"/*; do
    [ -x "$hook" ] || continue
    "$hook" "$@" || {
      failed_hook="${hook##*/} ended with $?"
      return 1
    }
  done
}

# fail_of_hook WHEN: unless the hook has said itself what failed.
fail_of_hook() {
  [ -e "$COLLECTIVE_RUN/last.FAILED" ] || say "FAILED=$1: $failed_hook"
  exit 1
}
