#ifndef JSON_READER_H
#define JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Reads JSON (RFC 8259) without building anything: a value is the slice of the text it stands in,
 * so that a part of a message can be passed on byte for byte. json_parse() checks the whole text
 * once; all other functions take what it or they have returned and cannot meet invalid JSON.
 *
 * A text is one value in UTF-8, nested at most JSON_DEPTH_MAX deep. The grammar is that of the RFC
 * and no more: no comments, no NaN, no trailing comma, no byte order mark. An escaped surrogate
 * without its other half ("\ud800") is valid JSON, but no string of Unicode: such a string can be
 * passed on, not decoded. Time is linear in the text; nothing is allocated and nothing recurses.
 */
#define JSON_DEPTH_MAX 64

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_value {
	enum json_type type;
	struct slice text; /* borrows; with quotes or brackets, without blanks around it */
};

/* False leaves *out alone. */
bool json_parse(struct slice text, struct json_value *out) __attribute__((warn_unused_result));

/* Iterates over an array or an object, in the order of the text. */
struct json_iterator {
	struct slice rest;
};

struct json_iterator json_elements(struct json_value array);
bool json_next_element(struct json_iterator *it, struct json_value *value)
    __attribute__((warn_unused_result));

struct json_iterator json_members(struct json_value object);
bool json_next_member(struct json_iterator *it, struct json_value *name, struct json_value *value)
    __attribute__((warn_unused_result));

enum json_found { JSON_ABSENT, JSON_FOUND, JSON_DUPLICATE };

/* The member with this name, which may be escaped in the text. Two members of the name: which of
 * them counts differs from reader to reader, so the caller is told, and refuses. *out is set if
 * JSON_FOUND only. */
enum json_found json_find(struct json_value object, const char *name, struct json_value *out)
    __attribute__((warn_unused_result));

/* True for a string with this content. */
bool json_string_is(struct json_value value, const char *text);

/* Appends the content of a string: valid UTF-8, at most value.text.len bytes. False, with nothing
 * appended: it is not a string or it has a lone surrogate. */
bool json_decode(struct json_value value, struct buffer *out) __attribute__((warn_unused_result));

/* As json_decode, without a copy if the string has no escapes: then *out borrows from the text,
 * otherwise from `room`, to which it is appended, until the next append to it. */
bool json_get_string(struct json_value value, struct buffer *room, struct slice *out)
    __attribute__((warn_unused_result));

/* An integer without fraction and exponent that fits. False leaves *out alone. */
bool json_get_u64(struct json_value value, uint64_t *out) __attribute__((warn_unused_result));
bool json_get_i64(struct json_value value, int64_t *out) __attribute__((warn_unused_result));
bool json_get_bool(struct json_value value, bool *out) __attribute__((warn_unused_result));

#endif
