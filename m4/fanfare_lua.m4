# FANFARE_LUA
# Finds Lua 5.1 for scripts. Their libraries are ours: those of Debian, lua-cjson and lua-bitop, let a script end the daemon.
# Sets have_lua.
AC_DEFUN([FANFARE_LUA], [
	AC_ARG_WITH([lua], [AS_HELP_STRING([--without-lua], [build without scripts, which need Lua 5.1])],
	    [], [with_lua=check])
	have_lua=no
	AS_IF([test "$with_lua" != no],
	    [PKG_CHECK_MODULES([LUA], [lua5.1 >= 5.1], [have_lua=yes], [have_lua=no])])
	AS_IF([test "$with_lua" = yes && test "$have_lua" = no],
	    [AC_MSG_ERROR([--with-lua needs Lua 5.1: on Debian and Ubuntu, the package liblua5.1-0-dev])])
])
