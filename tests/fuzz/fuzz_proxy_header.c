#include "config.h"

#include "net/proxy_header.h"

#include <assert.h>
#include <string.h>

/*
 * Whatever is fed, whole or byte by byte: the result is the same, no more than the bound is taken,
 * and nothing behind the header.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum proxy_result
feed_bytes(struct proxy_header *header, struct slice bytes, size_t *used)
{
	enum proxy_result result = PROXY_MORE;
	size_t taken;

	for (*used = 0; *used < bytes.len && result == PROXY_MORE; *used += taken) {
		result = proxy_header_feed(header, (struct slice){bytes.ptr + *used, 1}, &taken);
		assert(taken == 1);
	}
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice bytes = {(const char *)data, len};
	struct proxy_header whole, single;
	enum proxy_result result;
	size_t taken, used;

	proxy_header_init(&whole);
	proxy_header_init(&single);
	result = proxy_header_feed(&whole, bytes, &taken);
	assert(feed_bytes(&single, bytes, &used) == result && used == taken);
	assert(taken <= PROXY_V2_MAX && (result != PROXY_MORE || taken == len));
	assert((result == PROXY_BAD) == (whole.error != NULL));
	assert(whole.has_addresses == single.has_addresses);
	assert(!whole.has_addresses || result == PROXY_DONE);
	assert(memcmp(&whole.source, &single.source, sizeof(whole.source)) == 0);
	return 0;
}
