#include "config.h"

#include "import/command_log.h"

#include <limits.h>

#include "base/alloc.h"
#include "rdb/input.h"
#include "rdb/string.h"

#define KEPT_BYTES ((size_t)256 * 1024)
#define COMMAND_BYTES_MAX ((uint64_t)1 << 30)

void
command_log_release(struct command_log *log)
{
	buffer_release(&log->bytes);
	xfree(log->ends);
	xfree(log->argv);
	log->ends = NULL;
	log->argv = NULL;
}

static bool
take_end_of_line(struct rdb_input *in)
{
	uint64_t offset = rdb_input_offset(in);
	char end[2];

	if (!rdb_input_take(in, end, sizeof(end)))
		return false;
	return (end[0] == '\r' && end[1] == '\n') ||
	       rdb_input_fail(in, offset, "no CR LF where one must be");
}

/* A line of a type and a number that is at most `most`. */
static bool
take_header(struct rdb_input *in, char type, uint64_t most, uint64_t *number)
{
	uint64_t offset = rdb_input_offset(in);
	size_t digits = 0;
	char byte;

	if (!rdb_input_take(in, &byte, 1))
		return false;
	if (byte != type)
		return rdb_input_fail(in, offset,
		    type == '*' ? "neither a command nor an annotation" : "not an argument");
	*number = 0;
	for (int next = rdb_input_peek(in); next >= '0' && next <= '9'; next = rdb_input_peek(in)) {
		if (!rdb_input_take(in, &byte, 1))
			return false;
		*number = *number * 10 + (uint64_t)(byte - '0');
		if (++digits > 10 || *number > most)
			return rdb_input_fail(in, offset, "a length above the limit");
	}
	if (digits == 0 && rdb_input_peek(in) != -1)
		return rdb_input_fail(in, offset, "no length where one must be");
	return take_end_of_line(in);
}

static bool
take_argument(struct command_log *log)
{
	uint64_t offset = rdb_input_offset(log->in), len;

	if (!take_header(log->in, '$', RDB_STRING_MAX, &len))
		return false;
	if (log->bytes.len + len > COMMAND_BYTES_MAX)
		return rdb_input_fail(log->in, offset, "a command of more than 1 GiB");
	if (!rdb_input_append(log->in, &log->bytes, len))
		return false;
	if (log->argc == log->room) {
		log->room = log->room > 0 ? 2 * log->room : 16;
		log->ends = xrealloc(log->ends, log->room * sizeof(*log->ends));
		log->argv = xrealloc(log->argv, log->room * sizeof(*log->argv));
	}
	log->ends[log->argc++] = log->bytes.len;
	return take_end_of_line(log->in);
}

static bool
skip_annotations(struct rdb_input *in)
{
	while (rdb_input_peek(in) == '#') {
		char byte;

		do
			if (!rdb_input_take(in, &byte, 1))
				return false;
		while (byte != '\n');
	}
	return true;
}

static bool
take_command(struct command_log *log)
{
	uint64_t count;

	(void)buffer_reserve(&log->bytes, 1); /* so that empty arguments have an address */
	if (!take_header(log->in, '*', INT_MAX, &count))
		return false;
	if (count == 0)
		return rdb_input_fail(log->in, log->at, "a command without name");
	while (count-- > 0)
		if (!take_argument(log))
			return false;
	for (size_t i = 0; i < log->argc; i++) {
		size_t from = i > 0 ? log->ends[i - 1] : 0;

		log->argv[i] = (struct slice){log->bytes.ptr + from, log->ends[i] - from};
	}
	return true;
}

enum command_log_result
command_log_next(struct command_log *log)
{
	buffer_clear(&log->bytes);
	buffer_shrink(&log->bytes, KEPT_BYTES);
	log->argc = 0;
	log->at = rdb_input_offset(log->in);
	if (!skip_annotations(log->in))
		return COMMAND_LOG_BAD;
	log->at = rdb_input_offset(log->in);
	if (rdb_input_is_at_end(log->in))
		return log->in->fault.reason == NULL ? COMMAND_LOG_END : COMMAND_LOG_BAD;
	return take_command(log) ? COMMAND_LOG_COMMAND : COMMAND_LOG_BAD;
}
