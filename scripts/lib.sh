# shellcheck shell=sh
# Sourced by the other scripts. srcdir is the top folder of the sources; automake's test harness also sets it, relative to
# the build folder.
: "${srcdir:=$(dirname "$0")/..}"

have() {
	command -v "$1" >/dev/null 2>&1
}

say() {
	echo "${0##*/}: $1"
}

fail() {
	say "$1" >&2
	exit 1
}

# Skips a test that cannot run here (automake's status 77). With FANFARE_REQUIRE_ALL=1, as in CI, it fails instead.
skip() {
	if [ "${FANFARE_REQUIRE_ALL:-0}" = 1 ]; then
		fail "$1, and FANFARE_REQUIRE_ALL=1"
	fi
	say "skipped: $1"
	exit 77
}

jobs() {
	nproc 2>/dev/null || echo 2
}

# show_errors LOG: prints the first errors in the output of a build or of tests, and its end.
show_errors() {
	if [ "$(wc -l <"$1")" -gt 100 ]; then
		grep -a -n -A 8 -m 5 -E '(^|[ :])(fatal )?error: |undefined reference| \*\*\* |^E  |^FAIL: |ERROR: |WARNING: Thread' "$1" &&
			echo '[...]'
		tail -n 50 "$1"
	else
		cat "$1"
	fi
}

# logged LOG COMMAND...: writes the output to LOG, and shows the errors in LOG if the command fails.
logged() {
	logged_log=$1
	shift
	"$@" >"$logged_log" 2>&1 </dev/null || {
		logged_status=$?
		show_errors "$logged_log"
		say "failed with status $logged_status: $*; all of it: $logged_log" >&2
		return "$logged_status"
	}
}

# make_configure: generates the script configure, unless it is newer than its sources.
make_configure() {
	top=$(cd "$srcdir" && pwd)
	if [ ! -e "$top/configure" ] || [ -n "$(find "$top/configure.ac" "$top/m4" -newer "$top/configure")" ]; then
		mkdir -p "$top/build"
		logged "$top/build/autoreconf.out" autoreconf -fi "$top"
	fi
}

# configure_in FOLDER CONFIGURE-ARGUMENT...: runs configure in FOLDER, unless it was last run there with these arguments.
configure_in() {
	build_dir=$1
	shift
	mkdir -p "$build_dir"
	make_configure || return
	if [ ! -e "$build_dir/Makefile" ] || [ "$(cat "$build_dir/configured-with" 2>/dev/null)" != "$*" ]; then
		rm -f "$build_dir/Makefile"
		(cd "$build_dir" && logged configure.out "$top/configure" "$@") || return
		echo "$*" >"$build_dir/configured-with"
		[ ! -e "$build_dir/libfanfare.a" ] || logged "$build_dir/clean.out" make -C "$build_dir" clean
	fi
}

# build_in FOLDER CONFIGURE-ARGUMENT...: configures in FOLDER if needed and runs make.
build_in() {
	configure_in "$@" || return
	logged "$build_dir/make.out" make -C "$build_dir" -j"$(jobs)"
}

# keep_failed LOGS COMMAND: keeps for scripts/repeat-failed what it needs, in the folder FANFARE_KEEP_FAILED if that is set. It
# reads the lines "failed: COUNT in LOG" of count-tests, and copies the logs of unit tests and end-to-end tests. The file
# `list` gets a line "COUNT TEST LOG COMMAND" for each (COMMAND and the name of the test run this test alone), the file
# `environment` the variables of the run.
keep_failed() {
	[ -n "${FANFARE_KEEP_FAILED:-}" ] || return 0
	mkdir -p "$FANFARE_KEEP_FAILED"
	env | grep -E '^FANFARE_TEST_(IO_THREADS|OPTIONS|REDIS)=' >"$FANFARE_KEEP_FAILED/environment" || true
	while read -r _ kept_count _ kept_log; do
		kept_test=${kept_log%.log}
		case $kept_test in
		src/*_test) ;;
		tests/test_*) kept_test=$kept_test.py ;;
		*) continue ;;
		esac
		mkdir -p "$FANFARE_KEEP_FAILED/${kept_log%/*}"
		cp "$1/$kept_log" "$FANFARE_KEEP_FAILED/$kept_log"
		echo "$kept_count $kept_test $kept_log $2$kept_test" >>"$FANFARE_KEEP_FAILED/list"
	done
}
