#include "config.h"

#include <sys/random.h>
#include <threads.h>
#include <unistd.h>

/* Functions of libc that the core uses and wasi-libc lacks. */

/* getentropy() takes at most 256 bytes, which is more than the core asks for. */
ssize_t
getrandom(void *out, size_t len, unsigned int flags)
{
	(void)flags;
	return getentropy(out, len) == 0 ? (ssize_t)len : -1;
}

/* The module has one thread. */
void
call_once(once_flag *flag, void (*function)(void))
{
	if (*flag != 0)
		return;
	*flag = 1;
	function();
}
