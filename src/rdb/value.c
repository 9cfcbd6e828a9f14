#include "config.h"

#include "rdb/value.h"

#include "base/float_text.h"
#include "rdb/input.h"
#include "rdb/module.h"
#include "rdb/string.h"

/* How the elements of a value are written. */
enum form {
	FORM_UNKNOWN,
	FORM_STRING,
	FORM_PLAIN,     /* a count, then strings: `parts` an element */
	FORM_SCORED,    /* a count, then a string and a score of 8 bytes each */
	FORM_SCORED_1,  /* a count, then a string and a score as text each */
	FORM_TIMED,     /* the least time, a count, then a relative time and two strings each */
	FORM_TIMED_PRE, /* a count, then a time and two strings each */
	FORM_PACKED,
	FORM_PACKED_TIMED, /* the least time, then a packed string */
	FORM_NODES,        /* a count, then packed strings */
	FORM_NODES_2,      /* a count, then for each its kind: one element, or packed */
	FORM_STREAM,
	FORM_MODULE,
};

struct rdb_encoding {
	enum form form;
	enum rdb_type type;
	unsigned char parts;
	enum rdb_packed_kind packed;
};

/* By the type byte: RDB_TYPE_* in rdb.h of Redis. */
static const struct rdb_encoding encodings[] = {
    [0] = {FORM_STRING, RDB_STRING, 1, 0},
    [1] = {FORM_PLAIN, RDB_LIST, 1, 0},
    [2] = {FORM_PLAIN, RDB_SET, 1, 0},
    [3] = {FORM_SCORED_1, RDB_ZSET, 2, 0},
    [4] = {FORM_PLAIN, RDB_HASH, 2, 0},
    [5] = {FORM_SCORED, RDB_ZSET, 2, 0},
    [7] = {FORM_MODULE, RDB_MODULE, 0, 0},
    [9] = {FORM_PACKED, RDB_HASH, 2, RDB_ZIPMAP},
    [10] = {FORM_PACKED, RDB_LIST, 1, RDB_ZIPLIST},
    [11] = {FORM_PACKED, RDB_SET, 1, RDB_INTSET},
    [12] = {FORM_PACKED, RDB_ZSET, 2, RDB_ZIPLIST},
    [13] = {FORM_PACKED, RDB_HASH, 2, RDB_ZIPLIST},
    [14] = {FORM_NODES, RDB_LIST, 1, RDB_ZIPLIST},
    [15] = {FORM_STREAM, RDB_STREAM, 1, 0},
    [16] = {FORM_PACKED, RDB_HASH, 2, RDB_LISTPACK},
    [17] = {FORM_PACKED, RDB_ZSET, 2, RDB_LISTPACK},
    [18] = {FORM_NODES_2, RDB_LIST, 1, RDB_LISTPACK},
    [19] = {FORM_STREAM, RDB_STREAM, 2, 0},
    [20] = {FORM_PACKED, RDB_SET, 1, RDB_LISTPACK},
    [21] = {FORM_STREAM, RDB_STREAM, 3, 0},
    [22] = {FORM_TIMED_PRE, RDB_HASH, 2, 0},
    [23] = {FORM_PACKED, RDB_HASH, 3, RDB_LISTPACK},
    [24] = {FORM_TIMED, RDB_HASH, 2, 0},
    [25] = {FORM_PACKED_TIMED, RDB_HASH, 3, RDB_LISTPACK},
};

enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

static bool
fail_node(const struct rdb_value *value, struct rdb_input *in)
{
	return rdb_input_fail(in, value->node_offset, value->packed.fault);
}

static bool
begin_packed(struct rdb_value *value, struct rdb_input *in)
{
	value->node_offset = rdb_input_offset(in);
	if (!rdb_string(in, &value->first))
		return false;
	value->state = RDB_VALUE_PACKED;
	return rdb_packed_init(&value->packed, value->encoding->packed,
		   buffer_slice(&value->first)) != RDB_PACKED_BAD ||
	       fail_node(value, in);
}

static bool
begin(struct rdb_value *value, struct rdb_input *in, struct buffer *module)
{
	value->state = RDB_VALUE_PLAIN;
	switch (value->encoding->form) {
	case FORM_STRING:
		value->left = 1;
		return true;
	case FORM_PACKED_TIMED:
		return rdb_u64(in, &value->least_ms) && begin_packed(value, in);
	case FORM_PACKED:
		return begin_packed(value, in);
	case FORM_TIMED:
		return rdb_u64(in, &value->least_ms) && rdb_length(in, &value->left);
	case FORM_NODES:
	case FORM_NODES_2:
		value->state = RDB_VALUE_NODES;
		return rdb_length(in, &value->left);
	case FORM_STREAM:
		value->state = RDB_VALUE_STREAM;
		return rdb_stream_begin(&value->stream, in, value->encoding->parts);
	case FORM_MODULE:
		value->state = RDB_VALUE_END;
		return rdb_module_name(in, module) && rdb_module_skip(in);
	default:
		return rdb_length(in, &value->left);
	}
}

bool
rdb_value_begin(struct rdb_value *value, struct rdb_input *in, unsigned char byte,
    enum rdb_type *type, struct buffer *module)
{
	if (byte >= sizeof(encodings) / sizeof(*encodings) || encodings[byte].form == FORM_UNKNOWN)
		return rdb_input_fail(in, rdb_input_offset(in), "unknown type of a value");
	value->encoding = &encodings[byte];
	value->left = value->least_ms = 0;
	*type = value->encoding->type;
	return begin(value, in, module);
}

/* Sets the time of a field; 0: it has none. */
static bool
set_time(struct rdb_input *in, struct rdb_event *event, uint64_t time_ms)
{
	if (time_ms > INT64_MAX)
		return rdb_input_fail(in, rdb_input_offset(in), "invalid expiry time of a field");
	event->has_time = time_ms != 0;
	event->time_ms = (int64_t)time_ms;
	return true;
}

static bool
take_time(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	uint64_t time_ms;

	if (!rdb_length(in, &time_ms))
		return false;
	/* Relative times begin with 1, so that 0 is free. */
	if (value->encoding->form == FORM_TIMED && time_ms != 0)
		time_ms = time_ms - 1 > UINT64_MAX - value->least_ms
			      ? UINT64_MAX
			      : time_ms - 1 + value->least_ms;
	return set_time(in, event, time_ms);
}

static bool
take_second(struct rdb_value *value, struct rdb_input *in)
{
	buffer_clear(&value->second);
	switch (value->encoding->form) {
	case FORM_SCORED:
		return rdb_score_binary(in, &value->second);
	case FORM_SCORED_1:
		return rdb_score_text(in, &value->second);
	default:
		return value->encoding->parts == 1 || rdb_string(in, &value->second);
	}
}

static enum rdb_value_result
next_plain(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	enum form form = value->encoding->form;

	if (value->left == 0) {
		value->state = RDB_VALUE_END;
		return RDB_VALUE_DONE;
	}
	value->left--;
	if ((form == FORM_TIMED || form == FORM_TIMED_PRE) && !take_time(value, in, event))
		return RDB_VALUE_BAD;
	if (!rdb_string(in, &value->first) || !take_second(value, in))
		return RDB_VALUE_BAD;
	event->first = buffer_slice(&value->first);
	event->second = buffer_slice(&value->second);
	return RDB_VALUE_EVENT;
}

/* The elements of one event have been read. */
static bool
check_parts(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	const struct rdb_element *elements = value->elements;
	long double score;

	event->first = elements[0].text;
	if (value->encoding->parts > 1)
		event->second = elements[1].text;
	if (value->encoding->type == RDB_ZSET && !float_text_parse(event->second, &score)) {
		value->packed.fault = "a score is not a number";
		return fail_node(value, in);
	}
	if (value->encoding->parts < 3)
		return true;
	if (!elements[2].is_number || elements[2].number < 0) {
		value->packed.fault = "invalid expiry time of a field";
		return fail_node(value, in);
	}
	return set_time(in, event, (uint64_t)elements[2].number);
}

/* RDB_VALUE_DONE: this node has no further elements. */
static enum rdb_value_result
next_packed(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	for (size_t i = 0; i < value->encoding->parts; i++) {
		enum rdb_packed_result result =
		    rdb_packed_next(&value->packed, &value->elements[i]);

		if (result == RDB_PACKED_END && i == 0) {
			value->state = value->left > 0 ? RDB_VALUE_NODES : RDB_VALUE_END;
			return RDB_VALUE_DONE;
		}
		if (result == RDB_PACKED_END)
			(void)rdb_packed_fail(&value->packed, "a field without value");
		if (result != RDB_PACKED_ELEMENT) {
			(void)!fail_node(value, in);
			return RDB_VALUE_BAD;
		}
	}
	return check_parts(value, in, event) ? RDB_VALUE_EVENT : RDB_VALUE_BAD;
}

static enum rdb_value_result
next_node(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	uint64_t offset = rdb_input_offset(in), kind = NODE_PACKED;

	if (value->left == 0) {
		value->state = RDB_VALUE_END;
		return RDB_VALUE_DONE;
	}
	value->left--;
	if (value->encoding->form == FORM_NODES_2 && !rdb_length(in, &kind))
		return RDB_VALUE_BAD;
	if (kind == NODE_PACKED)
		return begin_packed(value, in) ? RDB_VALUE_DONE : RDB_VALUE_BAD;
	if (kind != NODE_PLAIN) {
		(void)!rdb_input_fail(in, offset, "unknown kind of a list's node");
		return RDB_VALUE_BAD;
	}
	if (!rdb_string(in, &value->first))
		return RDB_VALUE_BAD;
	event->first = buffer_slice(&value->first);
	return RDB_VALUE_EVENT;
}

static enum rdb_value_result
step(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	enum rdb_stream_result result;

	switch (value->state) {
	case RDB_VALUE_PLAIN:
		return next_plain(value, in, event);
	case RDB_VALUE_NODES:
		return next_node(value, in, event);
	case RDB_VALUE_PACKED:
		return next_packed(value, in, event);
	case RDB_VALUE_STREAM:
		result = rdb_stream_next(&value->stream, in, event);
		if (result == RDB_STREAM_DONE)
			value->state = RDB_VALUE_END;
		else if (result == RDB_STREAM_EVENT)
			return RDB_VALUE_EVENT;
		return result == RDB_STREAM_DONE ? RDB_VALUE_DONE : RDB_VALUE_BAD;
	default:
		return RDB_VALUE_DONE;
	}
}

enum rdb_value_result
rdb_value_next(struct rdb_value *value, struct rdb_input *in, struct rdb_event *event)
{
	enum rdb_value_result result;

	event->kind = RDB_EVENT_ELEMENT;
	do
		result = step(value, in, event);
	while (result == RDB_VALUE_DONE && value->state != RDB_VALUE_END);
	return result;
}

void
rdb_value_release(struct rdb_value *value)
{
	buffer_release(&value->first);
	buffer_release(&value->second);
	rdb_stream_release(&value->stream);
}
