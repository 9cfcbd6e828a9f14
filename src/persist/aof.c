#include "config.h"

#include "persist/aof.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/hex.h"

static const char magic[] = "#FANFARE1 ";

#define MAGIC_LEN (sizeof(magic) - 1)
#define VERSION_AT (MAGIC_LEN - 2)
#define LEN_AT MAGIC_LEN
#define CHECKSUM_AT (LEN_AT + 17)
#define HEADER_CHECKSUM_AT (CHECKSUM_AT + 17)

_Static_assert(HEADER_CHECKSUM_AT + 18 == AOF_HEADER_LEN, "the parts make up the header");

/* The number at LEN_AT: the length of the batch in the lower LEN_BITS bits, the unsynced bytes in
 * the upper ones. */
#define LEN_BITS 40
#define UNSYNCED_UNIT 512
#define UNSYNCED_MAX ((UINT64_C(1) << (64 - LEN_BITS)) - 1) /* this many or more */

/* A batch of up to this length is checked for a single changed bit that explains the checksum,
 * which takes at most 0.1 s. */
#define BIT_TRIED_MAX 16384

struct header {
	uint64_t len, checksum;
	uint64_t synced; /* the file was synced up to here when the batch was written */
};

/* The longest argument that the settings allow; more arguments than any command has. */
#define ARG_MAX_LEN (UINT64_C(1) << 30)
#define ARGS_MAX ((uint64_t)INT32_MAX)

/* The longest annotation that Redis writes between commands. */
#define ANNOTATION_MAX 128

uint64_t
aof_checksum(struct slice batch, uint64_t offset)
{
	return XXH3_64bits_withSeed(batch.ptr, batch.len, offset);
}

static void
put_hex(char *out, uint64_t v)
{
	unsigned char bytes[8];

	for (int i = 7; i >= 0; i--, v >>= 8)
		bytes[i] = (unsigned char)v;
	hex_write(out, bytes, sizeof(bytes));
}

static bool
get_hex(const char *at, uint64_t *v)
{
	*v = 0;
	for (int i = 0; i < 16; i++) {
		if (!hex_is_lower_digit(at[i]))
			return false;
		*v = *v << 4 | (uint64_t)hex_digit(at[i]);
	}
	return true;
}

/* unsynced is in units of UNSYNCED_UNIT. */
static void
write_header(
    char out[AOF_HEADER_LEN], uint64_t offset, uint64_t unsynced, uint64_t len, uint64_t checksum)
{
	memcpy(out, magic, MAGIC_LEN);
	if (unsynced > 0)
		out[VERSION_AT] = '2';
	put_hex(out + LEN_AT, unsynced << LEN_BITS | len);
	out[CHECKSUM_AT - 1] = ' ';
	put_hex(out + CHECKSUM_AT, checksum);
	out[HEADER_CHECKSUM_AT - 1] = ' ';
	put_hex(out + HEADER_CHECKSUM_AT,
	    aof_checksum((struct slice){out, HEADER_CHECKSUM_AT}, offset));
	memcpy(out + AOF_HEADER_LEN - 2, "\r\n", 2);
}

void
aof_header_write_unsynced(
    char out[AOF_HEADER_LEN], uint64_t offset, uint64_t synced, struct slice batch)
{
	uint64_t unsynced = synced < offset ? offset - synced : 0;

	assert(batch.len >> LEN_BITS == 0);
	unsynced = unsynced / UNSYNCED_UNIT + (unsynced % UNSYNCED_UNIT != 0);
	write_header(out, offset, unsynced < UNSYNCED_MAX ? unsynced : UNSYNCED_MAX, batch.len,
	    aof_checksum(batch, offset));
}

void
aof_header_write(char out[AOF_HEADER_LEN], uint64_t offset, struct slice batch)
{
	aof_header_write_unsynced(out, offset, offset, batch);
}

static bool
read_header(const char *bytes, uint64_t offset, struct header *header)
{
	char again[AOF_HEADER_LEN];
	uint64_t unsynced;

	if (!get_hex(bytes + LEN_AT, &header->len) ||
	    !get_hex(bytes + CHECKSUM_AT, &header->checksum))
		return false;
	unsynced = header->len >> LEN_BITS;
	header->len &= (UINT64_C(1) << LEN_BITS) - 1;
	write_header(again, offset, unsynced, header->len, header->checksum);
	if (memcmp(bytes, again, AOF_HEADER_LEN) != 0)
		return false;
	header->synced = unsynced == UNSYNCED_MAX || unsynced * UNSYNCED_UNIT > offset
			     ? 0
			     : offset - unsynced * UNSYNCED_UNIT;
	return true;
}

bool
aof_header_read(
    const char header[AOF_HEADER_LEN], uint64_t offset, uint64_t *batch_len, uint64_t *checksum)
{
	struct header parts;

	if (!read_header(header, offset, &parts))
		return false;
	*batch_len = parts.len;
	*checksum = parts.checksum;
	return true;
}

/* True if changing one bit makes these bytes a valid header. */
static bool
is_header_but_for_a_bit(struct slice bytes, uint64_t offset)
{
	char changed[AOF_HEADER_LEN];
	struct header header;

	if (bytes.len < AOF_HEADER_LEN)
		return false;
	memcpy(changed, bytes.ptr, AOF_HEADER_LEN);
	for (size_t i = 0; i < AOF_HEADER_LEN * (size_t)8; i++) {
		changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
		if (read_header(changed, offset, &header))
			return true;
		changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
	}
	return false;
}

/* The same for a batch, unless it is too long to try. */
static bool
is_batch_but_for_a_bit(struct slice batch, uint64_t offset, uint64_t checksum)
{
	bool found = false;
	char *changed;

	if (batch.len > BIT_TRIED_MAX)
		return false;
	changed = xmemdup(batch.ptr, batch.len);
	for (size_t i = 0; i < batch.len * 8 && !found; i++) {
		changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
		found = aof_checksum((struct slice){changed, batch.len}, offset) == checksum;
		changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
	}
	xfree(changed);
	return found;
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

/* Takes "<type><number>\r\n", 0 to max, written as Redis writes it. */
static enum aof_command_result
take_header(
    struct aof_commands *commands, struct slice *rest, char type, uint64_t max, uint64_t *number)
{
	size_t i;

	if (rest->len == 0)
		return AOF_COMMAND_PARTIAL;
	if (rest->ptr[0] != type)
		return bad(commands,
		    type == '*' ? "expected a command" : "expected an argument of a command");
	*number = 0;
	for (i = 1; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++) {
		*number = *number * 10 + (uint64_t)(rest->ptr[i] - '0');
		if (*number > max || (i == 2 && rest->ptr[1] == '0'))
			return bad(commands, "length out of range");
	}
	if (i < rest->len && (i == 1 || rest->ptr[i] != '\r'))
		return bad(commands, "invalid length");
	if (i + 1 < rest->len && rest->ptr[i + 1] != '\n')
		return bad(commands, "length without CR LF");
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
		return bad(commands, "argument without CR LF at its end");
	if (rest->len < len + 2)
		return AOF_COMMAND_PARTIAL;
	add_arg(commands, (struct slice){rest->ptr, (size_t)len});
	*rest = (struct slice){rest->ptr + len + 2, rest->len - (size_t)len - 2};
	return AOF_COMMAND;
}

/* Takes Redis's "#TS:1700000000\r\n". */
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
		return bad(commands, "annotation without a line end");
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
		return bad(commands, "command without arguments");
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
	/* Only as many bytes as distinguish it from Redis's annotations: a change of the bytes
	 * behind them is damage. */
	return at.len >= 2 && memcmp(at.ptr, magic, 2) == 0;
}

/* What the valid headers behind a place say about it. */
enum later {
	LATER_NONE, /* there are none */
	LATER_UNSYNCED,
	LATER_SYNCED, /* a header was written after the place was synced */
};

/* The checksum of a header depends on its offset, so a header that is part of a value is never
 * taken for one of this file. */
static enum later
look_behind(struct slice file, size_t at)
{
	enum later later = LATER_NONE;
	size_t next = at + 1;

	while (next < file.len && file.len - next >= AOF_HEADER_LEN) {
		const char *found = memmem(file.ptr + next, file.len - next, magic, VERSION_AT);
		struct header header;

		if (found == NULL)
			break;
		next = (size_t)(found - file.ptr);
		if (file.len - next >= AOF_HEADER_LEN && read_header(found, next, &header)) {
			if (header.synced > at)
				return LATER_SYNCED;
			later = LATER_UNSYNCED;
		}
		next++;
	}
	return later;
}

static enum aof_verdict
damaged(struct aof_scan *scan, size_t keep, size_t at, const char *reason)
{
	scan->keep = keep;
	scan->damaged_at = at;
	scan->reason = reason;
	return AOF_DAMAGED;
}

static enum aof_verdict
cut(struct aof_scan *scan, size_t keep, const char *reason)
{
	scan->keep = keep;
	scan->damaged_at = keep;
	scan->reason = reason;
	return AOF_TRUNCATED;
}

/* The verdict on a batch that is not as it was written. is_untorn: a torn write cannot have left
 * these bytes. */
static enum aof_verdict
torn_or_damaged(struct aof_scan *scan, bool is_untorn, const char *reason)
{
	if (is_untorn || look_behind(scan->file, scan->at) == LATER_SYNCED)
		return damaged(scan, scan->at, scan->at, reason);
	return cut(scan, scan->at, reason);
}

/*
 * Reads commands up to their end, or to the beginning of a batch with a header: *end. *safe is the
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
	/* A single '#' may begin a header or an annotation. */
	return result == AOF_COMMAND_NONE && in_transaction ? AOF_COMMAND_PARTIAL : result;
}

/*
 * True if the bytes at this place, where no command of Redis begins, are a torn first batch: zeros,
 * which no valid file contains here, or bytes that valid batches follow.
 */
static bool
is_torn_batch(const struct aof_scan *scan, size_t at)
{
	struct slice rest = from(scan->file, at);
	enum later later;

	if (is_header_but_for_a_bit(rest, at))
		return false;
	later = look_behind(scan->file, at);
	return later == LATER_UNSYNCED || (later == LATER_NONE && rest.ptr[0] == '\0');
}

/* Scans commands without a header, which occur only at the beginning. */
static enum aof_verdict
scan_plain(struct aof_scan *scan, struct slice *commands)
{
	struct aof_commands taken = {0};
	struct slice run = from(scan->file, scan->at);
	size_t end, safe;
	enum aof_command_result result = follow(&taken, run, &end, &safe);
	const char *reason = taken.reason;

	aof_commands_release(&taken);
	scan->batch_at = scan->at;
	scan->has_header = false;
	*commands = (struct slice){run.ptr, safe};
	if (result == AOF_COMMAND_BAD && (safe < end || !is_torn_batch(scan, scan->at + end)))
		return damaged(scan, scan->at + safe, scan->at + end, reason);
	if (result == AOF_COMMAND_PARTIAL && end < run.len && begins_batch(from(run, end)))
		return damaged(scan, scan->at + safe, scan->at + end, "incomplete transaction");
	if (result == AOF_COMMAND_PARTIAL &&
	    look_behind(scan->file, scan->at + safe) == LATER_SYNCED)
		return damaged(scan, scan->at + safe, scan->at + end,
		    "incomplete command, followed by batches");
	if (result != AOF_COMMAND_NONE)
		return cut(scan, scan->at + safe,
		    result == AOF_COMMAND_BAD ? reason : "incomplete command or transaction");
	commands->len = end;
	scan->at += end;
	return AOF_COMMANDS;
}

/* True if commands without headers follow up to the end of the file: a torn write does not leave
 * them. */
static bool
are_commands(struct slice rest)
{
	struct aof_commands taken = {0};
	size_t end, safe;
	enum aof_command_result result = follow(&taken, rest, &end, &safe);

	aof_commands_release(&taken);
	return result == AOF_COMMAND_NONE && end == rest.len;
}

/* True if the bytes look like a header of any offset: *len is the length it announces. */
static bool
has_form_of_header(struct slice bytes, uint64_t *len)
{
	struct header header;
	char form[AOF_HEADER_LEN];
	uint64_t checksum;

	if (bytes.len < AOF_HEADER_LEN || !get_hex(bytes.ptr + LEN_AT, &header.len) ||
	    !get_hex(bytes.ptr + CHECKSUM_AT, &header.checksum) ||
	    !get_hex(bytes.ptr + HEADER_CHECKSUM_AT, &checksum))
		return false;
	*len = header.len & ((UINT64_C(1) << LEN_BITS) - 1);
	write_header(form, 0, header.len >> LEN_BITS, *len, header.checksum);
	memcpy(form + HEADER_CHECKSUM_AT, bytes.ptr + HEADER_CHECKSUM_AT, 16);
	return memcmp(form, bytes.ptr, AOF_HEADER_LEN) == 0;
}

/* True for a batch followed by another, both of other offsets: bytes before them are missing or
 * duplicated. A single one may be old data of this place. */
static bool
are_moved_batches(struct slice rest, uint64_t offset)
{
	struct slice next;
	struct header good;
	uint64_t len;

	if (!has_form_of_header(rest, &len) || len >= rest.len - AOF_HEADER_LEN)
		return false;
	next = from(rest, AOF_HEADER_LEN + (size_t)len);
	offset += AOF_HEADER_LEN + len;
	return has_form_of_header(next, &len) && !read_header(next.ptr, offset, &good);
}

static enum aof_verdict
scan_batch(struct aof_scan *scan, struct slice *commands)
{
	struct slice rest = from(scan->file, scan->at);
	struct header header;

	*commands = (struct slice){rest.ptr, 0};
	scan->batch_at = scan->at;
	scan->has_header = true;
	if (are_commands(rest))
		return damaged(scan, scan->at, scan->at, "command without a header behind batches");
	if (rest.len < AOF_HEADER_LEN)
		return cut(scan, scan->at, "incomplete header");
	if (!read_header(rest.ptr, scan->at, &header))
		return torn_or_damaged(scan,
		    is_header_but_for_a_bit(rest, scan->at) || are_moved_batches(rest, scan->at),
		    "header checksum mismatch");
	if (header.len == 0)
		return damaged(scan, scan->at, scan->at, "batch without commands");
	rest = from(rest, AOF_HEADER_LEN);
	if (rest.len < header.len)
		return cut(scan, scan->at, "incomplete batch");
	rest.len = (size_t)header.len;
	if (aof_checksum(rest, scan->at) != header.checksum)
		return torn_or_damaged(scan,
		    is_batch_but_for_a_bit(rest, scan->at, header.checksum),
		    "batch checksum mismatch");
	*commands = rest;
	scan->batches++;
	scan->at += AOF_HEADER_LEN + rest.len;
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
		    "this is Redis's binary format, which is only imported: move the files of "
		    "Redis "
		    "to another folder and start once with --import and its path");
	if (scan->at == 0 && !begins_batch(rest))
		return scan_plain(scan, commands);
	return scan_batch(scan, commands);
}
