#include "config.h"

#include "core/options.h"

#include <string.h>

/* No struct will ever be longer. */
#define SIZE_END 65536

static bool
has_size(const void *options, size_t *size)
{
	if (options == NULL)
		return false;
	memcpy(size, options, sizeof(*size));
	return *size >= sizeof(*size) && *size < SIZE_END;
}

bool
options_copy(void *to, size_t len, const void *from)
{
	size_t size;

	if (!has_size(from, &size))
		return false;
	for (size_t i = len; i < size; i++)
		if (((const char *)from)[i] != 0)
			return false;
	memset(to, 0, len);
	memcpy(to, from, size < len ? size : len);
	return true;
}

bool
options_fill(void *to, const void *from, size_t len)
{
	size_t size;

	if (!has_size(to, &size))
		return false;
	if (size > len)
		memset((char *)to + len, 0, size - len);
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
	    (size < len ? size : len) - sizeof(size));
	return true;
}

bool
options_limit(size_t *value, size_t least, size_t most, size_t initial)
{
	if (*value == 0)
		*value = initial;
	return *value >= least && *value <= most;
}
