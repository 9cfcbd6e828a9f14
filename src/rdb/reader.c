#include "config.h"

#include "rdb/reader.h"

#include <string.h>

#include "base/alloc.h"
#include "rdb/input.h"
#include "rdb/module.h"
#include "rdb/string.h"
#include "rdb/value.h"

/* Buffers that a large value has made larger are given back after the key. */
#define KEPT_BYTES ((size_t)256 * 1024)

enum { VERSION_MIN = 1, VERSION_MAX = 12, VERSION_WITH_CHECKSUM = 5 };

/* RDB_OPCODE_* in rdb.h of Redis. A smaller byte is the type of a key. */
enum opcode {
	OPCODE_SLOT_INFO = 244,
	OPCODE_FUNCTION2,
	OPCODE_FUNCTION_PRE_GA,
	OPCODE_MODULE_AUX,
	OPCODE_IDLE,
	OPCODE_FREQ,
	OPCODE_AUX,
	OPCODE_RESIZEDB,
	OPCODE_EXPIRETIME_MS,
	OPCODE_EXPIRETIME,
	OPCODE_SELECTDB,
	OPCODE_EOF,
};

enum state { AT_HEADER, AT_RECORD, IN_VALUE };

struct rdb_reader {
	struct rdb_input *in;
	enum state state;
	unsigned int version;
	struct buffer name; /* of the key, or the first string of a record */
	struct buffer text; /* the second string */
	struct rdb_value value;
	bool has_time; /* of the key that follows */
	int64_t time_ms;
};

const char *
rdb_type_name(enum rdb_type type)
{
	static const char *const names[RDB_TYPES] = {[RDB_STRING] = "string",
	    [RDB_LIST] = "list",
	    [RDB_SET] = "set",
	    [RDB_ZSET] = "sorted set",
	    [RDB_HASH] = "hash",
	    [RDB_STREAM] = "stream",
	    [RDB_MODULE] = "module"};

	return names[type];
}

struct rdb_reader *
rdb_reader_new(struct rdb_input *in)
{
	struct rdb_reader *reader = xcalloc(1, sizeof(*reader));

	reader->in = in;
	return reader;
}

void
rdb_reader_free(struct rdb_reader *reader)
{
	buffer_release(&reader->name);
	buffer_release(&reader->text);
	rdb_value_release(&reader->value);
	xfree(reader);
}

static bool
take_header(struct rdb_reader *reader)
{
	uint64_t offset = rdb_input_offset(reader->in);
	char header[9];

	if (!rdb_input_take(reader->in, header, sizeof(header)))
		return false;
	if (memcmp(header, "REDIS", 5) != 0)
		return rdb_input_fail(reader->in, offset, "not an RDB file");
	for (size_t i = 5; i < sizeof(header); i++) {
		if (header[i] < '0' || header[i] > '9')
			return rdb_input_fail(reader->in, offset + 5, "invalid version");
		reader->version = reader->version * 10 + (unsigned int)(header[i] - '0');
	}
	if (reader->version < VERSION_MIN || reader->version > VERSION_MAX)
		return rdb_input_fail(
		    reader->in, offset + 5, "unknown version: 1 to 12 can be read");
	reader->state = AT_RECORD;
	return true;
}

static bool
take_end(struct rdb_reader *reader, struct rdb_event *event)
{
	uint64_t offset = rdb_input_offset(reader->in);
	uint64_t expected, checksum;

	event->kind = RDB_EVENT_END;
	if (reader->version < VERSION_WITH_CHECKSUM)
		return true;
	checksum = rdb_input_checksum(reader->in);
	if (!rdb_u64(reader->in, &expected))
		return false;
	/* 0: it was written with rdbchecksum no. */
	return expected == 0 || expected == checksum ||
	       rdb_input_fail(reader->in, offset, "the checksum does not match");
}

static bool
take_key(struct rdb_reader *reader, unsigned char byte, struct rdb_event *event)
{
	if (!rdb_string(reader->in, &reader->name) ||
	    !rdb_value_begin(&reader->value, reader->in, byte, &event->type, &reader->text))
		return false;
	event->kind = RDB_EVENT_KEY;
	event->first = buffer_slice(&reader->name);
	if (event->type == RDB_MODULE)
		event->second = buffer_slice(&reader->text);
	event->has_time = reader->has_time;
	event->time_ms = reader->time_ms;
	reader->has_time = false;
	reader->state = IN_VALUE;
	return true;
}

static bool
take_time(struct rdb_reader *reader, bool is_ms)
{
	uint32_t seconds = 0;
	uint64_t ms = 0;

	if (is_ms ? !rdb_u64(reader->in, &ms) : !rdb_u32(reader->in, &seconds))
		return false;
	reader->has_time = true;
	reader->time_ms = is_ms ? (int64_t)ms : (int64_t)(int32_t)seconds * 1000;
	return true;
}

/* Records without an event are skipped: sizes, and how often and when a key was used. */
static bool
skip_numbers(struct rdb_reader *reader, unsigned int count)
{
	uint64_t number;

	while (count-- > 0)
		if (!rdb_length(reader->in, &number))
			return false;
	return true;
}

static bool
take_strings(struct rdb_reader *reader, enum rdb_event_kind kind, struct rdb_event *event)
{
	if (!rdb_string(reader->in, &reader->name) ||
	    (kind == RDB_EVENT_AUX && !rdb_string(reader->in, &reader->text)))
		return false;
	event->kind = kind;
	event->first = buffer_slice(&reader->name);
	if (kind == RDB_EVENT_AUX)
		event->second = buffer_slice(&reader->text);
	return true;
}

/* *is_event: the record is one. */
static bool
take_record(struct rdb_reader *reader, struct rdb_event *event, bool *is_event)
{
	uint64_t offset = rdb_input_offset(reader->in);
	unsigned char byte;

	*is_event = false;
	if (!rdb_input_take(reader->in, &byte, 1))
		return false;
	switch (byte) {
	case OPCODE_SLOT_INFO:
		return skip_numbers(reader, 3);
	case OPCODE_RESIZEDB:
		return skip_numbers(reader, 2);
	case OPCODE_IDLE:
		return skip_numbers(reader, 1);
	case OPCODE_FREQ:
		return rdb_input_skip(reader->in, 1);
	case OPCODE_EXPIRETIME_MS:
	case OPCODE_EXPIRETIME:
		return take_time(reader, byte == OPCODE_EXPIRETIME_MS);
	case OPCODE_FUNCTION_PRE_GA:
		return rdb_input_fail(
		    reader->in, offset, "functions of a release candidate of Redis 7.0");
	default:
		*is_event = true;
	}
	switch (byte) {
	case OPCODE_FUNCTION2:
		return take_strings(reader, RDB_EVENT_FUNCTIONS, event);
	case OPCODE_AUX:
		return take_strings(reader, RDB_EVENT_AUX, event);
	case OPCODE_MODULE_AUX:
		event->kind = RDB_EVENT_MODULE_AUX;
		if (!rdb_module_aux(reader->in, &reader->name))
			return false;
		event->first = buffer_slice(&reader->name);
		return true;
	case OPCODE_SELECTDB:
		event->kind = RDB_EVENT_DATABASE;
		return rdb_length(reader->in, &event->number);
	case OPCODE_EOF:
		return take_end(reader, event);
	default:
		return take_key(reader, byte, event);
	}
}

static bool
take_element(struct rdb_reader *reader, struct rdb_event *event)
{
	switch (rdb_value_next(&reader->value, reader->in, event)) {
	case RDB_VALUE_EVENT:
		return true;
	case RDB_VALUE_BAD:
		return false;
	default:
		buffer_clear(&reader->value.first);
		buffer_shrink(&reader->value.first, KEPT_BYTES);
		buffer_clear(&reader->value.second);
		buffer_shrink(&reader->value.second, KEPT_BYTES);
		event->kind = RDB_EVENT_KEY_END;
		reader->state = AT_RECORD;
		return true;
	}
}

bool
rdb_reader_next(struct rdb_reader *reader, struct rdb_event *event)
{
	bool is_event = false;

	*event = (struct rdb_event){0};
	if (reader->state == AT_HEADER && !take_header(reader))
		return false;
	if (reader->state == IN_VALUE)
		return take_element(reader, event);
	while (!is_event)
		if (!take_record(reader, event, &is_event))
			return false;
	return true;
}
