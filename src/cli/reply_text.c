#include "config.h"

#include "cli/reply_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "resp/reply.h"
#include "json/utf8.h"
#include "json/writer.h"

static void
put_quoted(struct buffer *out, struct slice s)
{
	buffer_append(out, "\"", 1);
	buffer_append_escaped(out, s);
	buffer_append(out, "\"", 1);
}

static void put_pretty(struct buffer *out, const struct resp_value *value, int indent);

static const char *
empty_name(enum resp_type type)
{
	switch (type) {
	case RESP_TYPE_MAP:
		return "(empty hash)\n";
	case RESP_TYPE_SET:
		return "(empty set)\n";
	case RESP_TYPE_PUSH:
		return "(empty push)\n";
	default:
		return "(empty array)\n";
	}
}

/* The first line of an item follows its number; the others are indented below it. */
static void
put_pretty_items(struct buffer *out, const struct resp_value *value, int indent)
{
	bool is_map = value->type == RESP_TYPE_MAP;
	char mark = is_map ? '#' : value->type == RESP_TYPE_SET ? '~' : ')';
	size_t count = is_map ? value->count / 2 : value->count;
	int width = snprintf(NULL, 0, "%zu", count);

	if (count == 0)
		buffer_append_str(out, empty_name(value->type));
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_appendf(out, "%*s", indent, "");
		buffer_appendf(out, "%*zu%c ", width, i + 1, mark);
		if (!is_map) {
			put_pretty(out, &value->items[i], indent + width + 2);
			continue;
		}
		put_pretty(out, &value->items[2 * i], indent + width + 2);
		out->len--; /* the value follows on the same line, unless it is an aggregate */
		buffer_append_str(out, " => ");
		if (value->items[2 * i + 1].count > 0)
			buffer_appendf(out, "\n%*s", indent + width + 2, "");
		put_pretty(out, &value->items[2 * i + 1], indent + width + 2);
	}
}

static void
put_pretty(struct buffer *out, const struct resp_value *value, int indent)
{
	switch (value->type) {
	case RESP_TYPE_SIMPLE:
	case RESP_TYPE_VERBATIM:
		buffer_append_slice(out, value->text);
		break;
	case RESP_TYPE_ERROR:
		buffer_append_str(out, "(error) ");
		buffer_append_slice(out, value->text);
		break;
	case RESP_TYPE_INT:
		buffer_appendf(out, "(integer) %" PRId64, value->number);
		break;
	case RESP_TYPE_BULK:
		put_quoted(out, value->text);
		break;
	case RESP_TYPE_NULL:
		buffer_append_str(out, "(nil)");
		break;
	case RESP_TYPE_DOUBLE:
		buffer_append_str(out, "(double) ");
		buffer_append_slice(out, value->text);
		break;
	case RESP_TYPE_BOOL:
		buffer_append_str(out, value->number != 0 ? "(true)" : "(false)");
		break;
	case RESP_TYPE_BIGNUM:
		buffer_append_str(out, "(big number) ");
		buffer_append_slice(out, value->text);
		break;
	case RESP_TYPE_ARRAY:
	case RESP_TYPE_MAP:
	case RESP_TYPE_SET:
	case RESP_TYPE_PUSH:
		put_pretty_items(out, value, indent);
		return;
	}
	buffer_append(out, "\n", 1);
}

void
reply_text_pretty(struct buffer *out, const struct resp_value *value)
{
	put_pretty(out, value, 0);
}

void
reply_text_raw(struct buffer *out, const struct resp_value *value)
{
	switch (value->type) {
	case RESP_TYPE_INT:
		buffer_appendf(out, "%" PRId64, value->number);
		break;
	case RESP_TYPE_NULL:
		break;
	case RESP_TYPE_BOOL:
		buffer_append_str(out, value->number != 0 ? "true" : "false");
		break;
	case RESP_TYPE_ARRAY:
	case RESP_TYPE_MAP:
	case RESP_TYPE_SET:
	case RESP_TYPE_PUSH:
		for (size_t i = 0; i < value->count; i++)
			reply_text_raw(out, &value->items[i]);
		return;
	default:
		buffer_append_slice(out, value->text);
	}
	buffer_append(out, "\n", 1);
}

static void put_json(struct buffer *out, const struct resp_value *value);

static void
put_json_text(struct buffer *out, struct slice text)
{
	if (json_is_utf8(text)) {
		json_put_string(out, text);
		return;
	}
	buffer_append_str(out, "{\"base64\":");
	json_put_base64(out, text);
	buffer_append_str(out, "}");
}

/* A key must be a JSON string: other types are converted to text. */
static void
put_json_key(struct buffer *out, const struct resp_value *key)
{
	struct buffer text = {0};

	if (key->text.len > 0 && json_is_utf8(key->text)) {
		json_put_string(out, key->text);
		return;
	}
	if (key->text.len > 0)
		buffer_append_escaped(&text, key->text);
	else if (key->type != RESP_TYPE_SIMPLE && key->type != RESP_TYPE_BULK)
		put_json(&text, key);
	json_put_string(out, buffer_slice(&text));
	buffer_release(&text);
}

static void
put_json_items(struct buffer *out, const struct resp_value *value)
{
	bool is_map = value->type == RESP_TYPE_MAP;

	buffer_append_str(out, is_map ? "{" : "[");
	for (size_t i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_append(out, is_map && i % 2 == 1 ? ":" : ",", 1);
		if (is_map && i % 2 == 0)
			put_json_key(out, &value->items[i]);
		else
			put_json(out, &value->items[i]);
	}
	buffer_append_str(out, is_map ? "}" : "]");
}

static void
put_json(struct buffer *out, const struct resp_value *value)
{
	switch (value->type) {
	case RESP_TYPE_SIMPLE:
	case RESP_TYPE_BULK:
	case RESP_TYPE_VERBATIM:
	case RESP_TYPE_BIGNUM: /* most JSON parsers would round such a number */
		put_json_text(out, value->text);
		break;
	case RESP_TYPE_ERROR:
		buffer_append_str(out, "{");
		json_put_member(out, "error", value->text);
		buffer_append_str(out, "}");
		break;
	case RESP_TYPE_INT:
		buffer_appendf(out, "%" PRId64, value->number);
		break;
	case RESP_TYPE_NULL:
		buffer_append_str(out, "null");
		break;
	case RESP_TYPE_BOOL:
		buffer_append_str(out, value->number != 0 ? "true" : "false");
		break;
	case RESP_TYPE_DOUBLE:
		if (isfinite(value->real))
			buffer_appendf(out, "%.17g", value->real);
		else
			put_json_text(out, value->text);
		break;
	case RESP_TYPE_ARRAY:
	case RESP_TYPE_MAP:
	case RESP_TYPE_SET:
	case RESP_TYPE_PUSH:
		put_json_items(out, value);
		break;
	}
}

void
reply_text_json(struct buffer *out, const struct resp_value *value)
{
	put_json(out, value);
	buffer_append(out, "\n", 1);
}
