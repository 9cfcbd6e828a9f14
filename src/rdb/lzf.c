#include "config.h"

#include "rdb/lzf.h"

#if HAVE_LZF

#include <limits.h>
#ifdef HAVE_LIBLZF_LZF_H
#include <liblzf/lzf.h>
#else
#include <lzf.h>
#endif

/* The longest run takes 3 bytes and gives 264. */
#define EXPANSION_MAX 88

const char *
rdb_lzf_expand(struct slice packed, size_t len, struct buffer *out)
{
	char *room;

	if (len == 0 || packed.len == 0 || packed.len > UINT_MAX || len > UINT_MAX ||
	    len / EXPANSION_MAX > packed.len)
		return "invalid length of a compressed string";
	room = buffer_reserve(out, len);
	if (lzf_decompress(packed.ptr, (unsigned int)packed.len, room, (unsigned int)len) != len)
		return "invalid compressed string";
	out->len += len;
	return NULL;
}

#else

const char *
rdb_lzf_expand(struct slice packed, size_t len, struct buffer *out)
{
	(void)packed;
	(void)len;
	(void)out;
	return "a compressed string, which this build cannot read (it lacks liblzf)";
}

#endif
