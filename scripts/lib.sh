# Sourced by the other scripts. srcdir is the top of the sources; automake's harness sets it, too.
: "${srcdir:=.}"

have() {
	command -v "$1" >/dev/null 2>&1
}

fail() {
	echo "${0##*/}: $1" >&2
	exit 1
}

# A test that cannot run here is a skipped one (77, says automake), unless all are required, as in CI.
skip() {
	if [ "${FANFARE_REQUIRE_ALL:-0}" = 1 ]; then
		fail "$1, and FANFARE_REQUIRE_ALL=1"
	fi
	echo "${0##*/}: skipped: $1"
	exit 77
}
