# FANFARE_LUA
# Finds what scripts need: Lua 5.1, and lua-cjson and lua-bitop as libraries to link with, as Debian has them. Sets have_lua,
# and lua_missing to the Debian packages of what is not there.
AC_DEFUN([FANFARE_LUA], [
	AC_ARG_WITH([lua],
	    [AS_HELP_STRING([--without-lua], [build without scripts, which need Lua 5.1, lua-cjson and lua-bitop])],
	    [], [with_lua=check])
	have_lua=no
	lua_missing=
	AS_IF([test "$with_lua" != no], [
		PKG_CHECK_MODULES([LUA], [lua5.1 >= 5.1], [:], [lua_missing="$lua_missing liblua5.1-0-dev"])
		PKG_CHECK_MODULES([LUA_CJSON], [lua5.1-cjson >= 2.1], [:], [lua_missing="$lua_missing lua-cjson-dev"])
		PKG_CHECK_MODULES([LUA_BITOP], [lua5.1-bitop >= 1.0], [:], [lua_missing="$lua_missing lua-bitop-dev"])
		AS_IF([test -z "$lua_missing"], [have_lua=yes])
	])
	AS_IF([test "$with_lua" = yes && test "$have_lua" = no],
	    [AC_MSG_ERROR([--with-lua needs, by the names of Debian's packages:$lua_missing])])
])
