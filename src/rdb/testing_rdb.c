#include "config.h"

#include "rdb/testing_rdb.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "rdb/crc64.h"
#include "rdb/input.h"

void
testing_rdb_begin(struct buffer *file, unsigned int version)
{
	buffer_clear(file);
	buffer_appendf(file, "REDIS%04u", version);
}

void
testing_rdb_byte(struct buffer *file, unsigned int byte)
{
	char c = (char)byte;

	buffer_append(file, &c, 1);
}

void
testing_rdb_bytes(struct buffer *file, uint64_t bits, size_t count)
{
	for (size_t i = 0; i < count; i++)
		testing_rdb_byte(file, bits >> (8 * i) & 0xff);
}

void
testing_rdb_length(struct buffer *file, uint64_t len)
{
	if (len < 64) {
		testing_rdb_byte(file, (unsigned int)len);
	} else if (len < 16384) {
		testing_rdb_byte(file, 0x40 | (unsigned int)(len >> 8));
		testing_rdb_byte(file, len & 0xff);
	} else {
		testing_rdb_byte(file, 0x81);
		for (int i = 7; i >= 0; i--)
			testing_rdb_byte(file, len >> (8 * i) & 0xff);
	}
}

void
testing_rdb_string(struct buffer *file, const char *text)
{
	testing_rdb_length(file, strlen(text));
	buffer_append_str(file, text);
}

void
testing_rdb_blob(struct buffer *file, const struct buffer *blob)
{
	testing_rdb_length(file, blob->len);
	buffer_append(file, blob->ptr, blob->len);
}

void
testing_rdb_key(struct buffer *file, unsigned int type, const char *name)
{
	testing_rdb_byte(file, type);
	testing_rdb_string(file, name);
}

void
testing_rdb_end(struct buffer *file, unsigned int version)
{
	struct crc64 crc64;

	testing_rdb_byte(file, 0xff);
	if (version < 5)
		return;
	crc64_init(&crc64);
	testing_rdb_bytes(file, crc64_add(&crc64, 0, file->ptr, file->len), 8);
}

static void
set_u32(struct buffer *out, size_t at, size_t value)
{
	for (size_t i = 0; i < 4; i++)
		out->ptr[at + i] = (char)(value >> (8 * i) & 0xff);
}

void
testing_listpack(struct buffer *out, const char *const *words, size_t count)
{
	buffer_clear(out);
	testing_rdb_bytes(out, 0, 4);
	testing_rdb_bytes(out, count, 2);
	for (size_t i = 0; i < count; i++) {
		size_t before = out->len, len = strlen(words[i]);
		int64_t number;

		if (slice_to_i64(slice_of(words[i]), &number)) {
			testing_rdb_byte(out, 0xf4);
			testing_rdb_bytes(out, (uint64_t)number, 8);
		} else {
			testing_rdb_byte(out, 0x80 | (unsigned int)len);
			buffer_append(out, words[i], len);
		}
		testing_rdb_byte(out, (unsigned int)(out->len - before));
	}
	testing_rdb_byte(out, 0xff);
	set_u32(out, 0, out->len);
}

void
testing_ziplist(struct buffer *out, const char *const *words, size_t count)
{
	size_t before = 0, last = 10;

	buffer_clear(out);
	testing_rdb_bytes(out, 0, 8);
	testing_rdb_bytes(out, count, 2);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(words[i]);
		int64_t number;

		last = out->len;
		testing_rdb_byte(out, (unsigned int)before);
		if (slice_to_i64(slice_of(words[i]), &number)) {
			testing_rdb_byte(out, 0xe0);
			testing_rdb_bytes(out, (uint64_t)number, 8);
		} else {
			testing_rdb_byte(out, (unsigned int)len);
			buffer_append(out, words[i], len);
		}
		before = out->len - last;
	}
	testing_rdb_byte(out, 0xff);
	set_u32(out, 0, out->len);
	set_u32(out, 4, last);
}

void
testing_intset(struct buffer *out, size_t width, const int64_t *numbers, size_t count)
{
	buffer_clear(out);
	testing_rdb_bytes(out, width, 4);
	testing_rdb_bytes(out, count, 4);
	for (size_t i = 0; i < count; i++)
		testing_rdb_bytes(out, (uint64_t)numbers[i], width);
}

/* The bytes of the file that are being read. */
struct feed {
	struct slice rest;
	const struct testing_rdb_run *run;
	size_t reads;
};

static bool
feed_read(void *arg, char *out, size_t len, size_t *got)
{
	struct feed *feed = arg;

	if (feed->run->fail_after > 0 && feed->reads == feed->run->fail_after) {
		errno = EIO;
		return false;
	}
	feed->reads++;
	if (feed->run->piece > 0 && len > feed->run->piece)
		len = feed->run->piece;
	*got = len < feed->rest.len ? len : feed->rest.len;
	if (*got > 0)
		memcpy(out, feed->rest.ptr, *got);
	feed->rest = (struct slice){feed->rest.ptr + *got, feed->rest.len - *got};
	return true;
}

static void
note_module(void *arg, struct slice name, bool is_key)
{
	buffer_appendf(arg, "%s %.*s\n", is_key ? "MODULE" : "MODULE-AUX", (int)name.len, name.ptr);
}

static void
put_command(struct buffer *out, const struct rdb_command *command)
{
	for (size_t i = 0; i < command->argc; i++) {
		if (i > 0)
			buffer_append_str(out, " ");
		buffer_append_escaped(out, command->argv[i]);
	}
	buffer_append_str(out, command->begins_key ? " *\n" : "\n");
}

char *
testing_rdb_read(struct slice file, const struct testing_rdb_run *run)
{
	static const struct testing_rdb_run plain = {0};
	struct feed feed = {.rest = file, .run = run != NULL ? run : &plain};
	struct buffer out = {0};
	struct rdb_commands_config config = {.now_ms = feed.run->now_ms,
	    .keeps_expired = feed.run->keeps_expired,
	    .replaces = feed.run->replaces,
	    .module = note_module,
	    .arg = &out};
	enum rdb_commands_result result;
	struct rdb_commands *commands;
	const struct rdb_left_out *left;
	struct rdb_command command;
	struct rdb_input in;
	char *text;

	rdb_input_init(&in, feed_read, &feed);
	commands = rdb_commands_new(&in, &config);
	while ((result = rdb_commands_next(commands, &command)) == RDB_COMMAND)
		put_command(&out, &command);
	left = rdb_commands_left_out(commands);
	if (left->expired_keys + left->expired_fields + left->empty_keys > 0)
		buffer_appendf(&out, "LEFT %d %d %d\n", (int)left->expired_keys,
		    (int)left->expired_fields, (int)left->empty_keys);
	if (result == RDB_COMMANDS_END)
		buffer_append_str(&out, rdb_input_is_at_end(&in) ? "END" : "END AND MORE");
	else
		buffer_appendf(&out, "BAD %llu %s", (unsigned long long)in.fault.offset,
		    in.fault.error != 0 ? strerror(in.fault.error) : in.fault.reason);
	rdb_commands_free(commands);
	rdb_input_release(&in);
	text = xasprintf("%.*s", (int)out.len, out.ptr);
	buffer_release(&out);
	return text;
}
