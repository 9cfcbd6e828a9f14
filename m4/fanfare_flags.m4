# FANFARE_TRY_FLAGS(VARIABLE, FLAGS)
# Appends FLAGS to VARIABLE if the compiler accepts them without a warning, together with the user's flags.
# The probe calls a function that glibc fortifies, because fortification warns without optimization.
AC_DEFUN([FANFARE_TRY_FLAGS], [
	fanfare_saved_CFLAGS="$CFLAGS"
	CFLAGS="$CFLAGS -Werror $2"
	AC_MSG_CHECKING([whether $CC accepts $2])
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [[char to[4]; memset(to, 0, sizeof(to)); return to[0];]])],
	    [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
	CFLAGS="$fanfare_saved_CFLAGS"
])

# FANFARE_TRY_LINK_FLAGS(VARIABLE, FLAGS): the same for linking, with the current FANFARE_CFLAGS.
AC_DEFUN([FANFARE_TRY_LINK_FLAGS], [
	fanfare_saved_CFLAGS="$CFLAGS"
	fanfare_saved_LDFLAGS="$LDFLAGS"
	CFLAGS="$CFLAGS -Werror $FANFARE_CFLAGS"
	LDFLAGS="$LDFLAGS $2"
	AC_MSG_CHECKING([whether $CC links with $2])
	AC_LINK_IFELSE([AC_LANG_PROGRAM()],
	    [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
	CFLAGS="$fanfare_saved_CFLAGS"
	LDFLAGS="$fanfare_saved_LDFLAGS"
])
