#include "config.h"

#include "rdb/input.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

#define WINDOW_BYTES ((size_t)64 * 1024)

void
rdb_input_init(struct rdb_input *in, rdb_read read, void *arg)
{
	*in = (struct rdb_input){.read = read, .arg = arg};
	in->window = xmalloc(WINDOW_BYTES);
	crc64_init(&in->crc64);
}

void
rdb_input_release(struct rdb_input *in)
{
	xfree(in->window);
	in->window = NULL;
}

uint64_t
rdb_input_offset(const struct rdb_input *in)
{
	return in->offset + in->at;
}

bool
rdb_input_fail(struct rdb_input *in, uint64_t offset, const char *reason)
{
	if (in->fault.reason == NULL)
		in->fault = (struct rdb_fault){.offset = offset, .reason = reason};
	return false;
}

static void
sum(struct rdb_input *in)
{
	in->crc = crc64_add(&in->crc64, in->crc, in->window + in->summed, in->at - in->summed);
	in->summed = in->at;
}

uint64_t
rdb_input_checksum(struct rdb_input *in)
{
	sum(in);
	return in->crc;
}

/* Makes sure that there is a byte in the window. False: the end, or a fault. */
static bool
fill(struct rdb_input *in)
{
	size_t got = 0;

	if (in->at < in->len)
		return true;
	if (in->has_ended || in->fault.reason != NULL)
		return false;
	sum(in);
	in->offset += in->len;
	in->at = in->len = in->summed = 0;
	if (!in->read(in->arg, in->window, WINDOW_BYTES, &got)) {
		(void)!rdb_input_fail(in, in->offset, "cannot be read");
		in->fault.error = errno;
	}
	in->len = got;
	in->has_ended = got == 0;
	return got > 0;
}

bool
rdb_input_is_at_end(struct rdb_input *in)
{
	return !fill(in);
}

int
rdb_input_peek(struct rdb_input *in)
{
	return fill(in) ? (unsigned char)in->window[in->at] : -1;
}

static bool
fail_at_end(struct rdb_input *in)
{
	bool is_first = in->fault.reason == NULL;

	(void)!rdb_input_fail(in, rdb_input_offset(in), "the file ends early");
	if (is_first)
		in->fault.is_end = true;
	return false;
}

/* Takes the next bytes, at most len and at least one. */
static bool
take_some(struct rdb_input *in, uint64_t len, struct slice *bytes)
{
	size_t there;

	if (in->fault.reason != NULL || !fill(in))
		return fail_at_end(in);
	there = in->len - in->at;
	*bytes = (struct slice){in->window + in->at, len < there ? (size_t)len : there};
	in->at += bytes->len;
	return true;
}

bool
rdb_input_take(struct rdb_input *in, void *out, size_t len)
{
	char *to = out;
	struct slice bytes;

	for (; len > 0; to += bytes.len, len -= bytes.len) {
		if (!take_some(in, len, &bytes))
			return false;
		memcpy(to, bytes.ptr, bytes.len);
	}
	return true;
}

bool
rdb_input_append(struct rdb_input *in, struct buffer *out, uint64_t len)
{
	struct slice bytes;

	for (; len > 0; len -= bytes.len) {
		if (!take_some(in, len, &bytes))
			return false;
		buffer_append_slice(out, bytes);
	}
	return true;
}

bool
rdb_input_skip(struct rdb_input *in, uint64_t len)
{
	struct slice bytes;

	for (; len > 0; len -= bytes.len)
		if (!take_some(in, len, &bytes))
			return false;
	return true;
}
