#include "config.h"

#include "persist/aof.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

static const char magic[] = "#FANFARE1 ";

#define MAGIC_LEN (sizeof(magic) - 1)
#define LEN_AT MAGIC_LEN
#define CHECKSUM_AT (LEN_AT + 17)
#define HEADER_CHECKSUM_AT (CHECKSUM_AT + 17)

_Static_assert(HEADER_CHECKSUM_AT + 18 == AOF_HEADER_LEN, "the parts make up the header");

/* The longest argument that the settings allow, and more arguments than any command has. */
#define ARG_MAX_LEN (UINT64_C(1) << 30)
#define ARGS_MAX ((uint64_t)INT32_MAX)

/* Of what Redis writes between commands. */
#define ANNOTATION_MAX 128

uint64_t
aof_checksum(struct slice batch, uint64_t offset)
{
	return XXH3_64bits_withSeed(batch.ptr, batch.len, offset);
}

static void
put_hex(char *out, uint64_t v)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 15; i >= 0; i--, v >>= 4)
		out[i] = digits[v & 15];
}

static bool
get_hex(const char *at, uint64_t *v)
{
	*v = 0;
	for (int i = 0; i < 16; i++) {
		char c = at[i];

		if (c >= '0' && c <= '9')
			*v = *v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*v = *v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static void
write_header(char out[AOF_HEADER_LEN], uint64_t offset, uint64_t len, uint64_t checksum)
{
	memcpy(out, magic, MAGIC_LEN);
	put_hex(out + LEN_AT, len);
	out[CHECKSUM_AT - 1] = ' ';
	put_hex(out + CHECKSUM_AT, checksum);
	out[HEADER_CHECKSUM_AT - 1] = ' ';
	put_hex(out + HEADER_CHECKSUM_AT,
	    aof_checksum((struct slice){out, HEADER_CHECKSUM_AT}, offset));
	memcpy(out + AOF_HEADER_LEN - 2, "\r\n", 2);
}

void
aof_header_write(char out[AOF_HEADER_LEN], uint64_t offset, struct slice batch)
{
	write_header(out, offset, batch.len, aof_checksum(batch, offset));
}

bool
aof_header_read(
    const char header[AOF_HEADER_LEN], uint64_t offset, uint64_t *batch_len, uint64_t *checksum)
{
	char again[AOF_HEADER_LEN];

	if (!get_hex(header + LEN_AT, batch_len) || !get_hex(header + CHECKSUM_AT, checksum))
		return false;
	write_header(again, offset, *batch_len, *checksum);
	return memcmp(header, again, AOF_HEADER_LEN) == 0;
}

/* True if a header could begin so. */
static bool
may_be_header(struct slice start)
{
	char form[AOF_HEADER_LEN];
	uint64_t v;

	write_header(form, 0, 0, 0);
	for (size_t i = 0; i < start.len && i < AOF_HEADER_LEN; i++) {
		bool is_digit = i >= LEN_AT && i < AOF_HEADER_LEN - 2 && i != CHECKSUM_AT - 1 &&
				i != HEADER_CHECKSUM_AT - 1;
		char sixteen[16];

		memset(sixteen, start.ptr[i], sizeof(sixteen));
		if (is_digit ? !get_hex(sixteen, &v) : start.ptr[i] != form[i])
			return false;
	}
	return true;
}

void
aof_commands_release(struct aof_commands *commands)
{
	xfree(commands->args);
	*commands = (struct aof_commands){0};
}

static enum aof_command_result
bad(struct aof_commands *commands, const char *reason)
{
	commands->reason = reason;
	return AOF_COMMAND_BAD;
}

/* "<type><number>\r\n", 0 to max, written as Redis writes it. */
static enum aof_command_result
take_header(
    struct aof_commands *commands, struct slice *rest, char type, uint64_t max, uint64_t *number)
{
	size_t i;

	if (rest->len == 0)
		return AOF_COMMAND_PARTIAL;
	if (rest->ptr[0] != type)
		return bad(commands, type == '*' ? "no command begins here"
						 : "no argument of a command begins here");
	*number = 0;
	for (i = 1; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++) {
		*number = *number * 10 + (uint64_t)(rest->ptr[i] - '0');
		if (*number > max || (i == 2 && rest->ptr[1] == '0'))
			return bad(commands, "not a length that a command can have");
	}
	if (i < rest->len && (i == 1 || rest->ptr[i] != '\r'))
		return bad(commands, "not a length");
	if (i + 1 < rest->len && rest->ptr[i + 1] != '\n')
		return bad(commands, "a line without an end");
	if (i + 2 > rest->len)
		return AOF_COMMAND_PARTIAL;
	*rest = (struct slice){rest->ptr + i + 2, rest->len - i - 2};
	return AOF_COMMAND;
}

static void
add_arg(struct aof_commands *commands, struct slice arg)
{
	if (commands->count == commands->room) {
		commands->room = commands->room * 2 + 8;
		commands->args = xrealloc(commands->args, commands->room * sizeof(*commands->args));
	}
	commands->args[commands->count++] = arg;
}

static enum aof_command_result
take_arg(struct aof_commands *commands, struct slice *rest)
{
	uint64_t len;
	enum aof_command_result result = take_header(commands, rest, '$', ARG_MAX_LEN, &len);

	if (result != AOF_COMMAND)
		return result;
	if ((rest->len > len && rest->ptr[len] != '\r') ||
	    (rest->len > len + 1 && rest->ptr[len + 1] != '\n'))
		return bad(commands, "an argument without an end");
	if (rest->len < len + 2)
		return AOF_COMMAND_PARTIAL;
	add_arg(commands, (struct slice){rest->ptr, (size_t)len});
	*rest = (struct slice){rest->ptr + len + 2, rest->len - (size_t)len - 2};
	return AOF_COMMAND;
}

/* Redis's "#TS:1700000000\r\n". */
static enum aof_command_result
take_annotation(struct aof_commands *commands, struct slice *rest)
{
	static const char start[] = "#TS:";
	size_t known = rest->len < sizeof(start) - 1 ? rest->len : sizeof(start) - 1;
	const char *end;

	if (memcmp(rest->ptr, start, known) != 0)
		return bad(commands, "neither a batch nor an annotation of Redis");
	end = memchr(rest->ptr, '\n', rest->len < ANNOTATION_MAX ? rest->len : ANNOTATION_MAX);
	if (end == NULL && rest->len < ANNOTATION_MAX)
		return AOF_COMMAND_PARTIAL;
	if (end == NULL)
		return bad(commands, "an annotation without an end");
	*rest = (struct slice){end + 1, rest->len - (size_t)(end + 1 - rest->ptr)};
	return AOF_COMMAND;
}

enum aof_command_result
aof_command_next(struct aof_commands *commands, struct slice *rest)
{
	struct slice at = *rest;
	enum aof_command_result result = AOF_COMMAND;
	uint64_t count;

	commands->count = 0;
	while (result == AOF_COMMAND && at.len > 0 && at.ptr[0] == '#')
		result = take_annotation(commands, &at);
	if (result != AOF_COMMAND)
		return result;
	if (at.len == 0) {
		*rest = at;
		return AOF_COMMAND_NONE;
	}
	result = take_header(commands, &at, '*', ARGS_MAX, &count);
	if (result == AOF_COMMAND && count == 0)
		return bad(commands, "a command of no arguments");
	for (; result == AOF_COMMAND && count > 0; count--)
		result = take_arg(commands, &at);
	if (result == AOF_COMMAND)
		*rest = at;
	return result;
}

static struct slice
from(struct slice file, size_t at)
{
	return (struct slice){file.ptr + at, file.len - at};
}

static bool
begins_batch(struct slice at)
{
	/* Not a letter more than needed to be told from Redis's annotations: what is changed behind
	 * it is damage. */
	return at.len >= 2 && memcmp(at.ptr, magic, 2) == 0;
}

static enum aof_verdict
damaged(struct aof_scan *scan, size_t keep, size_t at, const char *reason)
{
	scan->keep = keep;
	scan->damaged_at = at;
	scan->reason = reason;
	return AOF_DAMAGED;
}

/*
 * Follows commands up to where they end, or where a batch with a header begins: *end. *safe is the
 * end of the last command that is in no unfinished transaction.
 */
static enum aof_command_result
follow(struct aof_commands *commands, struct slice run, size_t *end, size_t *safe)
{
	struct slice rest = run;
	enum aof_command_result result = AOF_COMMAND_NONE;
	bool in_transaction = false;

	*safe = 0;
	while (rest.len > 0 && !begins_batch(rest)) {
		result = aof_command_next(commands, &rest);
		if (result != AOF_COMMAND)
			break;
		if (slice_is_nocase(commands->args[0], "multi"))
			in_transaction = true;
		else if (slice_is_nocase(commands->args[0], "exec"))
			in_transaction = false;
		if (!in_transaction)
			*safe = run.len - rest.len;
	}
	*end = run.len - rest.len;
	if (result == AOF_COMMAND)
		result = AOF_COMMAND_NONE;
	/* A lone '#' may be the beginning of either. */
	return result == AOF_COMMAND_NONE && in_transaction ? AOF_COMMAND_PARTIAL : result;
}

/* Commands without a header, which only stand at the beginning. */
static enum aof_verdict
scan_plain(struct aof_scan *scan, struct slice *commands)
{
	struct aof_commands taken = {0};
	struct slice run = from(scan->file, scan->at);
	size_t end, safe;
	enum aof_command_result result = follow(&taken, run, &end, &safe);
	const char *reason = taken.reason;

	aof_commands_release(&taken);
	if (result == AOF_COMMAND_BAD)
		return damaged(scan, scan->at + safe, scan->at + end, reason);
	if (result == AOF_COMMAND_PARTIAL && end < run.len && begins_batch(from(run, end)))
		return damaged(
		    scan, scan->at + safe, scan->at + end, "a transaction without an end");
	scan->batch_at = scan->at;
	scan->has_header = false;
	if (result == AOF_COMMAND_PARTIAL) {
		*commands = (struct slice){run.ptr, safe};
		scan->keep = scan->at + safe;
		return AOF_CUT;
	}
	*commands = (struct slice){run.ptr, end};
	scan->at += end;
	return AOF_COMMANDS;
}

/* A batch whose end is missing: its commands as far as they are there. */
static enum aof_verdict
scan_cut(struct aof_scan *scan, struct slice run, struct slice *commands)
{
	struct aof_commands taken = {0};
	size_t end, safe;
	enum aof_command_result result = follow(&taken, run, &end, &safe);
	const char *reason = taken.reason;
	size_t commands_at = scan->at + AOF_HEADER_LEN;

	aof_commands_release(&taken);
	if (result == AOF_COMMAND_BAD)
		return damaged(scan, scan->at, commands_at + end, reason);
	if (end < run.len && begins_batch(from(run, end)))
		return damaged(scan, scan->at, commands_at + end, "a batch within a batch");
	*commands = (struct slice){run.ptr, safe};
	scan->keep = safe > 0 ? commands_at + safe : scan->at;
	return AOF_CUT;
}

static enum aof_verdict
scan_batch(struct aof_scan *scan, struct slice *commands)
{
	struct slice rest = from(scan->file, scan->at);
	uint64_t len, checksum;

	*commands = (struct slice){rest.ptr, 0};
	scan->batch_at = scan->at;
	scan->has_header = true;
	if (rest.len < AOF_HEADER_LEN) {
		if (!may_be_header(rest))
			return damaged(scan, scan->at, scan->at, "what should be a header is none");
		scan->keep = scan->at;
		return AOF_CUT;
	}
	if (!aof_header_read(rest.ptr, scan->at, &len, &checksum) || len == 0)
		return damaged(
		    scan, scan->at, scan->at, "the header's checksum does not fit the header");
	rest = from(rest, AOF_HEADER_LEN);
	if (rest.len < len)
		return scan_cut(scan, rest, commands);
	*commands = (struct slice){rest.ptr, (size_t)len};
	if (aof_checksum(*commands, scan->at) != checksum)
		return damaged(
		    scan, scan->at, scan->at, "the batch's checksum does not fit the batch");
	scan->batches++;
	scan->at += AOF_HEADER_LEN + (size_t)len;
	return AOF_COMMANDS;
}

enum aof_verdict
aof_scan_next(struct aof_scan *scan, struct slice *commands)
{
	static const char preamble[] = "REDIS";
	struct slice rest = from(scan->file, scan->at);

	*commands = (struct slice){rest.ptr, 0};
	if (rest.len == 0)
		return AOF_END;
	if (scan->at == 0 && rest.len >= sizeof(preamble) - 1 &&
	    memcmp(rest.ptr, preamble, sizeof(preamble) - 1) == 0)
		return damaged(scan, 0, 0,
		    "this is Redis's binary form: have Redis rewrite it with aof-use-rdb-preamble "
		    "no");
	if (scan->at == 0 && !begins_batch(rest))
		return scan_plain(scan, commands);
	return scan_batch(scan, commands);
}
