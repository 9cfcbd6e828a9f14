#include "config.h"

#include "resp/reply.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buffer.h"

/*
 * The reader of replies must give the same values whatever the pieces, and what it holds is bounded
 * by what arrived. The first byte of the input says how the rest is cut.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
note(const struct resp_value *value, struct buffer *heard, size_t depth)
{
	size_t i;

	assert(depth <= 8);
	buffer_appendf(heard, "%d %lld %zu %zu\n", (int)value->type, (long long)value->number,
	    value->text.len, value->count);
	buffer_append_slice(heard, value->text);
	for (i = 0; i < value->count; i++)
		note(&value->items[i], heard, depth + 1);
}

static void
feed(struct slice s, size_t each, struct buffer *heard)
{
	size_t before = alloc_used_bytes();
	struct resp_reader *reader = resp_reader_new(1 << 20, 8);
	struct resp_value *value;
	size_t at = 0;
	int got = 0;

	while (at < s.len && got == 0) {
		size_t len = each < s.len - at ? each : s.len - at;
		char *piece = xmemdup(s.ptr + at, len);

		resp_reader_feed(reader, piece, len);
		xfree(piece);
		at += len;
		while ((got = resp_reader_next(reader, &value)) > 0) {
			note(value, heard, 0);
			resp_value_free(value);
		}
		/* Of what is open: items with their text, twice their room; the input, twice. */
		assert(alloc_used_bytes() <= before + 2 * heard->cap + 64 * at + 70000);
	}
	buffer_append_str(heard, got < 0 ? "broken" : "more");
	resp_reader_free(reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer whole = {0}, pieces = {0};
	struct slice s;

	if (len < 2)
		return 0;
	s = (struct slice){(const char *)data + 1, len - 1};
	feed(s, s.len, &whole);
	feed(s, (size_t)data[0] % 64 + 1, &pieces);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
