#include "config.h"

#include "persist/key_stream.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "persist/aof.h"
#include "persist/keyspace.h"

/*
 * Any bytes as a stream of keys: what is carried out, and the verdict, are the same whatever the
 * pieces, and memory is bounded by what arrived. The first byte of the input says how the rest is
 * cut; if it is odd, the rest is commands, made into batches, to get behind the checksums.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The commands of an odd input are separated into batches by this byte. */
#define BATCH_END '|'

static bool
note_command(void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	struct buffer *heard = arg;

	assert(argc > 0);
	if (slice_is(argv[0], "BAD")) {
		snprintf(error, error_len, "a bad command");
		return false;
	}
	buffer_appendf(heard, "*%zu\n", argc);
	for (size_t i = 0; i < argc; i++) {
		buffer_appendf(heard, "$%zu\n", argv[i].len);
		buffer_append_slice(heard, argv[i]);
	}
	return true;
}

/* In pieces of `each` bytes. True: the stream ended with its end mark. */
static bool
read_all(struct slice stream, size_t each, struct buffer *heard)
{
	const struct persist_keyspace keyspace = {.replay = note_command, .arg = heard};
	struct key_stream_reader reader = {0};
	struct buffer error = {0};
	bool ok = true, is_complete;

	for (size_t at = 0; at < stream.len && ok;) {
		size_t len = each < stream.len - at ? each : stream.len - at;
		char *piece = xmemdup(stream.ptr + at, len);

		ok = key_stream_read(&reader, &keyspace, (struct slice){piece, len}, &error);
		xfree(piece);
		at += len;
		assert(reader.offset <= at && (!ok || reader.rest.len == at - reader.offset));
	}
	assert(ok == (error.len == 0));
	is_complete = ok && key_stream_is_whole(&reader) && reader.has_end_mark;
	buffer_appendf(heard, "%llu commands, %llu bytes: ", (unsigned long long)reader.commands,
	    (unsigned long long)reader.offset);
	buffer_append_slice(heard, buffer_slice(&error));
	key_stream_release(&reader);
	buffer_release(&error);
	return is_complete;
}

static void
put_batches(struct buffer *stream, struct slice commands)
{
	uint64_t offset = 0;

	while (commands.len > 0) {
		const char *end = memchr(commands.ptr, BATCH_END, commands.len);
		size_t len = end != NULL ? (size_t)(end - commands.ptr) : commands.len;
		size_t used = end != NULL ? len + 1 : len;

		key_stream_put(stream, &offset, (struct slice){commands.ptr, len});
		commands = (struct slice){commands.ptr + used, commands.len - used};
	}
	assert(offset == stream->len);
}

/* A stream without its last byte, or with a changed one, is not taken as a complete one. */
static void
check_damage(struct buffer *stream, size_t at)
{
	struct buffer heard = {0};

	assert(!read_all((struct slice){stream->ptr, stream->len - 1}, stream->len, &heard));
	stream->ptr[at] ^= 4;
	assert(!read_all(buffer_slice(stream), stream->len, &heard));
	buffer_release(&heard);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer stream = {0}, whole = {0}, pieces = {0};
	struct slice rest;
	bool is_complete;

	if (len < 2)
		return 0;
	rest = (struct slice){(const char *)data + 1, len - 1};
	if ((data[0] & 1) != 0)
		put_batches(&stream, rest);
	else
		buffer_append_slice(&stream, rest);
	is_complete = read_all(buffer_slice(&stream), stream.len, &whole);
	assert(read_all(buffer_slice(&stream), (size_t)data[0] / 2 + 1, &pieces) == is_complete);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	if (is_complete)
		check_damage(&stream, (size_t)data[0] * 7 % stream.len);
	buffer_release(&stream);
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
