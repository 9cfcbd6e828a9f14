#include "config.h"

#include "json/reader.h"

#include <assert.h>
#include <string.h>

/* The names of its types are also ours. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL JANSSON_REAL
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "json/utf8.h"

/*
 * The reader must take what jansson takes, and find the same values. Where they differ on purpose:
 * the reader limits nesting more, and it takes numbers that no double holds, NUL in names, and lone
 * surrogates, which it does not decode.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What jansson refuses although it is JSON. */
struct oddities {
	bool lone_surrogate;
	bool nul_in_name;
};

static struct buffer content;

static void
check_string(struct json_value string, const json_t *other, struct oddities *odd)
{
	struct slice borrowed;

	buffer_clear(&content);
	if (!json_decode(string, &content)) {
		assert(content.len == 0);
		odd->lone_surrogate = true;
		return;
	}
	assert(content.len <= string.text.len && json_is_utf8(buffer_slice(&content)));
	if (content.len > 0 && memchr(content.ptr, '\0', content.len) == NULL) {
		buffer_append(&content, "", 1);
		content.len--;
		assert(json_string_is(string, content.ptr));
	}
	if (other != NULL)
		assert(slice_eq(buffer_slice(&content),
		    (struct slice){json_string_value(other), json_string_length(other)}));
	buffer_clear(&content);
	assert(json_get_string(string, &content, &borrowed));
}

static void
check_name(struct json_value name, struct oddities *odd)
{
	check_string(name, NULL, odd);
	buffer_clear(&content);
	if (json_decode(name, &content) && content.len > 0 &&
	    memchr(content.ptr, '\0', content.len) != NULL)
		odd->nul_in_name = true;
}

static void check_value(struct json_value value, const json_t *other, struct oddities *odd);

/* Of several members with a name, jansson keeps the last one. */
static const json_t *
member_of(const json_t *object, struct json_value parent, struct json_value name)
{
	struct json_value found;

	buffer_clear(&content);
	if (object == NULL || !json_decode(name, &content))
		return NULL;
	buffer_append(&content, "", 1);
	return json_find(parent, content.ptr, &found) == JSON_FOUND
		   ? json_object_get(object, content.ptr)
		   : NULL;
}

static void
check_container(struct json_value value, const json_t *other, struct oddities *odd)
{
	struct json_iterator it;
	struct json_value name, part;
	size_t count = 0;

	if (value.type == JSON_ARRAY) {
		it = json_elements(value);
		while (json_next_element(&it, &part))
			check_value(
			    part, other != NULL ? json_array_get(other, count++) : NULL, odd);
		assert(other == NULL || json_array_size(other) == count);
		return;
	}
	it = json_members(value);
	while (json_next_member(&it, &name, &part)) {
		check_name(name, odd);
		check_value(part, member_of(other, value, name), odd);
		count++;
	}
	assert(other == NULL || json_object_size(other) <= count);
}

/* other is what jansson read, or NULL if it is not known. */
static void
check_value(struct json_value value, const json_t *other, struct oddities *odd)
{
	static const json_type types[] = {
	    [JSON_NULL] = JANSSON_NULL,
	    [JSON_FALSE] = JANSSON_FALSE,
	    [JSON_TRUE] = JANSSON_TRUE,
	    [JSON_STRING] = JANSSON_STRING,
	    [JSON_ARRAY] = JANSSON_ARRAY,
	    [JSON_OBJECT] = JANSSON_OBJECT,
	};
	uint64_t number;

	if (value.type == JSON_ARRAY || value.type == JSON_OBJECT) {
		check_container(value, other, odd);
	} else if (value.type == JSON_STRING) {
		check_string(value, other, odd);
	} else if (value.type == JSON_NUMBER) {
		if (other != NULL && json_get_u64(value, &number) && number <= INT64_MAX)
			assert((uint64_t)json_integer_value(other) == number);
		if (other != NULL)
			assert(json_typeof(other) == JANSSON_INTEGER ||
			       json_typeof(other) == JANSSON_REAL);
		return;
	}
	assert(other == NULL || json_typeof(other) == types[value.type]);
}

static size_t
deeper(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t
depth_of(json_t *value)
{
	size_t deepest = 0, i;
	const char *name;
	json_t *part;

	if (json_typeof(value) == JANSSON_ARRAY) {
		json_array_foreach(value, i, part) deepest = deeper(deepest, depth_of(part));
		return deepest + 1;
	}
	if (json_typeof(value) != JANSSON_OBJECT)
		return 0;
	json_object_foreach(value, name, part) deepest = deeper(deepest, depth_of(part));
	return deepest + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = {(const char *)data, len};
	struct json_value value;
	struct oddities odd = {0};
	json_error_t error;
	json_t *other;

	/* jansson takes a NUL byte for the end of the text. */
	if (len > 0 && memchr(data, '\0', len) != NULL) {
		assert(!json_parse(text, &value));
		return 0;
	}
	other = json_loadb(text.ptr, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (json_parse(text, &value)) {
		check_value(value, other, &odd);
		assert(other != NULL || odd.lone_surrogate || odd.nul_in_name ||
		       json_error_code(&error) == json_error_numeric_overflow);
	} else if (other != NULL) {
		/* Members that a later one replaces are not seen: they may be as deep. */
		assert(depth_of(other) > JSON_DEPTH_MAX || len > 2 * JSON_DEPTH_MAX);
	}
	json_decref(other);
	buffer_release(&content);
	return 0;
}
