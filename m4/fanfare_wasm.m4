# FANFARE_WASM
# Finds a compiler for `make wasm`: clang with lld, wasi-libc and the runtime library for wasm32. The rest of the build does
# not need it. WASM_CC and WASM_CFLAGS name another one, for example that of a WASI SDK. Sets have_wasm.
AC_DEFUN([FANFARE_WASM], [
	AC_ARG_VAR([WASM_CC], [C compiler for make wasm; by default clang])
	AC_ARG_VAR([WASM_CFLAGS], [its flags: target, headers and libraries of WASI])
	: "${WASM_CC=clang}"
	# Without the headers of the machine that compiles.
	: "${WASM_CFLAGS=--target=wasm32-wasi -nostdlibinc -isystem /usr/include/wasm32-wasi}"
	AC_MSG_CHECKING([whether $WASM_CC makes WebAssembly modules])
	cat >conftest.wasm.c <<EOF
#include <stdlib.h>
int twice(int n);
int twice(int n) { return getenv("x") != NULL ? n : n + n; }
EOF
	AS_IF([$WASM_CC $WASM_CFLAGS -O2 -flto -mexec-model=reactor -Wl,--export=twice -o conftest.wasm conftest.wasm.c \
	    >&AS_MESSAGE_LOG_FD 2>&1], [have_wasm=yes], [have_wasm=no])
	rm -f conftest.wasm conftest.wasm.c
	AC_MSG_RESULT([$have_wasm])
])
