#include "config.h"

#include <assert.h>
#include <string.h>

#include "base/buffer.h"
#include "import/command_log.h"
#include "rdb/commands.h"
#include "rdb/input.h"

/*
 * Any bytes as a snapshot of Redis, and what follows it as an append-only file: the commands and
 * the verdict are the same whatever the pieces. The first byte of the input says how the rest is
 * cut; if it is odd, the rest is the records of a snapshot, which get a header and an end.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct feed {
	struct slice rest;
	size_t piece;
};

static bool
feed_read(void *arg, char *out, size_t len, size_t *got)
{
	struct feed *feed = arg;

	if (len > feed->piece)
		len = feed->piece;
	*got = len < feed->rest.len ? len : feed->rest.len;
	if (*got > 0)
		memcpy(out, feed->rest.ptr, *got);
	feed->rest = (struct slice){feed->rest.ptr + *got, feed->rest.len - *got};
	return true;
}

static void
note_module(void *arg, struct slice name, bool is_key)
{
	(void)is_key;
	buffer_append_slice(arg, name);
}

static void
note_command(struct buffer *heard, const struct slice *argv, size_t argc)
{
	assert(argc > 0);
	for (size_t i = 0; i < argc; i++) {
		buffer_appendf(heard, " %zu:", argv[i].len);
		buffer_append_slice(heard, argv[i]);
	}
}

static void
read_log(struct rdb_input *in, struct buffer *heard)
{
	struct command_log log = {.in = in};

	while (command_log_next(&log) == COMMAND_LOG_COMMAND)
		note_command(heard, log.argv, log.argc);
	command_log_release(&log);
}

/* In pieces of this size. */
static void
read_all(struct slice bytes, size_t piece, struct buffer *heard)
{
	struct feed feed = {bytes, piece};
	const struct rdb_commands_config config = {
	    .now_ms = 1000, .replaces = piece % 2 == 0, .module = note_module, .arg = heard};
	struct rdb_commands *commands;
	struct rdb_command command;
	enum rdb_commands_result result;
	struct rdb_input in;

	rdb_input_init(&in, feed_read, &feed);
	commands = rdb_commands_new(&in, &config);
	while ((result = rdb_commands_next(commands, &command)) == RDB_COMMAND)
		if (!slice_is(command.argv[0], "DEL"))
			note_command(heard, command.argv, command.argc);
	rdb_commands_free(commands);
	assert((result == RDB_COMMANDS_BAD) == (in.fault.reason != NULL));
	if (result == RDB_COMMANDS_END)
		read_log(&in, heard);
	if (in.fault.reason != NULL) {
		assert(in.fault.offset <= bytes.len);
		buffer_appendf(heard, " %zu %s", (size_t)in.fault.offset, in.fault.reason);
	}
	rdb_input_release(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer file = {0}, whole = {0}, pieces = {0};

	if (len < 2)
		return 0;
	if ((data[0] & 1) != 0)
		buffer_append_str(&file, "REDIS0012");
	buffer_append(&file, data + 1, len - 1);
	if ((data[0] & 1) != 0)
		buffer_append(&file, "\377\0\0\0\0\0\0\0\0", 9);
	read_all(buffer_slice(&file), file.len, &whole);
	read_all(buffer_slice(&file), (size_t)data[0] / 2 + 1, &pieces);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	buffer_release(&file);
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
