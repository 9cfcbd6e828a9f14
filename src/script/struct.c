#include "config.h"

#include "script/libraries.h"

#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What an item of a format stands for. What is no item changes how the next ones are read. */
enum kind {
	KIND_CONTROL,
	KIND_ZERO,
	KIND_INTEGER,
	KIND_FLOAT,
	KIND_DOUBLE,
	KIND_CHARS,
	KIND_STRING
};

enum { INTEGER_MAX_BYTES = 32, WORD_BYTES = sizeof(uint64_t) };

static const struct option {
	enum kind kind;
	uint8_t size; /* in bytes; where a number may follow, the default */
	bool has_number;
} options[UCHAR_MAX + 1] = {
    ['x'] = {KIND_ZERO, 1, false},
    ['b'] = {KIND_INTEGER, sizeof(char), false},
    ['B'] = {KIND_INTEGER, sizeof(char), false},
    ['h'] = {KIND_INTEGER, sizeof(short), false},
    ['H'] = {KIND_INTEGER, sizeof(short), false},
    ['l'] = {KIND_INTEGER, sizeof(long), false},
    ['L'] = {KIND_INTEGER, sizeof(long), false},
    ['T'] = {KIND_INTEGER, sizeof(size_t), false},
    ['i'] = {KIND_INTEGER, sizeof(int), true},
    ['I'] = {KIND_INTEGER, sizeof(int), true},
    ['f'] = {KIND_FLOAT, sizeof(float), false},
    ['d'] = {KIND_DOUBLE, sizeof(double), false},
    ['c'] = {KIND_CHARS, 1, true},
    ['s'] = {KIND_STRING, 0, false},
};

/* A place in a format, with what the controls before it have set. */
struct format {
	const char *at;
	size_t alignment; /* no item is aligned to more; a power of two */
	bool is_big_endian;
};

struct item {
	char option;
	enum kind kind;
	size_t size;
	size_t padding; /* bytes before the item that align it */
};

/* The alignment of a '!' without a number is that of the type of C with the largest one. */
enum {
	ALIGNMENT_DEFAULT = _Alignof(union {
		double number;
		void *pointer;
		long integer;
	})
};

static struct format
format_of(const char *text)
{
	return (struct format){text, 1, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__};
}

/* The decimal number at the format's place, or the default if there is none. */
static int
read_number(lua_State *lua, struct format *format, int otherwise)
{
	int number = 0;

	if (!isdigit((unsigned char)*format->at))
		return otherwise;
	for (; isdigit((unsigned char)*format->at); format->at++) {
		int digit = *format->at - '0';

		if (number > (INT_MAX - digit) / 10)
			return luaL_error(lua, "integral size overflow");
		number = number * 10 + digit;
	}
	return number;
}

/* The bytes from offset to where an item of this size begins. Redis's formula: for sizes that are
 * no power of two it has no meaning, but scripts depend on its results. */
static size_t
padding_of(const struct format *format, size_t offset, const struct item *item)
{
	size_t unit = item->size < format->alignment ? item->size : format->alignment;

	if (unit == 0 || item->kind == KIND_CHARS)
		return 0;
	return (unit - (offset & (unit - 1))) & (unit - 1);
}

static struct item
next_item(lua_State *lua, struct format *format, size_t offset)
{
	struct item item = {.option = *format->at++};
	struct option option = options[(unsigned char)item.option];

	item.kind = option.kind;
	item.size = option.size;
	if (option.has_number)
		item.size = (size_t)read_number(lua, format, option.size);
	if (item.kind == KIND_INTEGER && item.size > INTEGER_MAX_BYTES)
		luaL_error(lua, "integral size %d is larger than limit of %d", (int)item.size,
		    INTEGER_MAX_BYTES);
	item.padding = padding_of(format, offset, &item);
	return item;
}

static void
set_alignment(lua_State *lua, struct format *format)
{
	int number = read_number(lua, format, ALIGNMENT_DEFAULT);

	if (number <= 0 || (number & (number - 1)) != 0)
		luaL_error(lua, "alignment %d is not a power of 2", number);
	format->alignment = (size_t)number;
}

static void
obey(lua_State *lua, struct format *format, char control)
{
	switch (control) {
	case ' ':
		return;
	case '<':
	case '>':
		format->is_big_endian = control == '>';
		return;
	case '!':
		set_alignment(lua, format);
		return;
	default:
		luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", control));
	}
}

/* As Redis converts on x86-64, where C leaves open what a number out of range becomes. */
static uint64_t
word_of(lua_Number number)
{
	const lua_Number limit = 18446744073709551616.0; /* 2^64 */

	if (number >= limit)
		return 0;
	if (number >= 0)
		return (uint64_t)number;
	if (number >= -limit / 2)
		return (uint64_t)(int64_t)number;
	return (uint64_t)1 << 63;
}

/* Bytes beyond a word are 0, for negative numbers too. */
static void
add_word(luaL_Buffer *out, uint64_t word, size_t size, bool is_big_endian)
{
	for (size_t i = 0; i < size; i++) {
		size_t place = is_big_endian ? size - 1 - i : i;

		luaL_addchar(out, place < WORD_BYTES ? (char)(word >> place * 8) : '\0');
	}
}

static uint64_t
read_word(const char *data, size_t size, bool is_big_endian)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word = word << 8 | (unsigned char)data[is_big_endian ? i : size - 1 - i];
	return word;
}

/* An integer of more bytes than a word has its lowest word, with the sign that Redis sees in it on
 * x86-64, where the place of the sign's bit counts modulo 64. */
static lua_Number
number_of(uint64_t word, size_t size, bool is_signed)
{
	uint64_t sign_and_above = UINT64_MAX << (size * 8 - 1) % 64;

	if (!is_signed)
		return (lua_Number)word;
	if ((word & sign_and_above) != 0)
		word |= sign_and_above;
	return (lua_Number)(int64_t)word;
}

static uint64_t
float_bits(float number)
{
	uint32_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static uint64_t
double_bits(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static float
float_of(uint64_t word)
{
	uint32_t bits = (uint32_t)word;
	float number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

static double
double_of(uint64_t word)
{
	double number;

	memcpy(&number, &word, sizeof(number));
	return number;
}

/* Returns the bytes that the string has taken. */
static size_t
pack_string(lua_State *lua, luaL_Buffer *out, const struct item *item, int arg)
{
	size_t len;
	const char *text = luaL_checklstring(lua, arg, &len);
	size_t size = item->size != 0 ? item->size : len;

	/* Redis names the argument behind the short one. */
	luaL_argcheck(lua, len >= size, arg + 1, "string too short");
	luaL_addlstring(out, text, size);
	if (item->kind != KIND_STRING)
		return size;
	luaL_addchar(out, '\0');
	return size + 1;
}

/* Packs the argument, if the item has one; returns the bytes that the item has taken. */
static size_t
pack_item(lua_State *lua, luaL_Buffer *out, struct format *format, struct item item, int *arg)
{
	bool is_big = format->is_big_endian;

	switch (item.kind) {
	case KIND_CONTROL:
		obey(lua, format, item.option);
		break;
	case KIND_ZERO:
		luaL_addchar(out, '\0');
		break;
	case KIND_INTEGER:
		add_word(out, word_of(luaL_checknumber(lua, (*arg)++)), item.size, is_big);
		break;
	case KIND_FLOAT:
		add_word(
		    out, float_bits((float)luaL_checknumber(lua, (*arg)++)), item.size, is_big);
		break;
	case KIND_DOUBLE:
		add_word(out, double_bits(luaL_checknumber(lua, (*arg)++)), item.size, is_big);
		break;
	case KIND_CHARS:
	case KIND_STRING:
		return pack_string(lua, out, &item, (*arg)++);
	}
	return item.size;
}

static int
struct_pack(lua_State *lua)
{
	struct format format = format_of(luaL_checkstring(lua, 1));
	size_t offset = 0;
	int arg = 2;
	luaL_Buffer out;

	/* The buffer keeps strings on the stack: a missing argument is this nil, not one of them.
	 */
	lua_pushnil(lua);
	luaL_buffinit(lua, &out);
	while (*format.at != '\0') {
		struct item item = next_item(lua, &format, offset);

		for (size_t i = 0; i < item.padding; i++)
			luaL_addchar(&out, '\0');
		offset += item.padding;
		offset += pack_item(lua, &out, &format, item, &arg);
	}
	luaL_pushresult(&out);
	return 1;
}

/* What is unpacked. `at` is a script's number at first: nothing is read before it is checked. */
struct input {
	const char *data;
	size_t len;
	size_t at;
	int results; /* values that are on the stack for the script */
};

static void
check_left(lua_State *lua, const struct input *input, size_t size)
{
	luaL_argcheck(
	    lua, size <= input->len && input->at <= input->len - size, 2, "data string too short");
}

/* 'c0' takes its length from the value before it, which is no result then. */
static size_t
unpack_chars(lua_State *lua, struct input *input, size_t size)
{
	if (size == 0) {
		if (input->results == 0 || !lua_isnumber(lua, -1))
			luaL_error(lua, "format 'c0' needs a previous size");
		size = word_of(lua_tonumber(lua, -1));
		lua_pop(lua, 1);
		input->results--;
		check_left(lua, input, size);
	}
	lua_pushlstring(lua, input->data + input->at, size);
	return size;
}

static size_t
unpack_string(lua_State *lua, const struct input *input)
{
	const char *text = input->data + input->at;
	const char *end = memchr(text, '\0', input->len - input->at);

	if (end == NULL)
		return (size_t)luaL_error(lua, "unfinished string in data");
	lua_pushlstring(lua, text, (size_t)(end - text));
	return (size_t)(end - text) + 1;
}

/* Pushes the item's value, if it has one; returns the bytes that the item has taken. */
static size_t
unpack_item(lua_State *lua, struct input *input, struct format *format, struct item item)
{
	const char *data = input->data + input->at;
	bool is_big = format->is_big_endian;
	size_t taken = item.size;

	switch (item.kind) {
	case KIND_CONTROL:
		obey(lua, format, item.option);
		return taken;
	case KIND_ZERO:
		return taken;
	case KIND_INTEGER:
		lua_pushnumber(lua, number_of(read_word(data, item.size, is_big), item.size,
					islower((unsigned char)item.option)));
		break;
	case KIND_FLOAT:
		lua_pushnumber(lua, float_of(read_word(data, item.size, is_big)));
		break;
	case KIND_DOUBLE:
		lua_pushnumber(lua, double_of(read_word(data, item.size, is_big)));
		break;
	case KIND_CHARS:
		taken = unpack_chars(lua, input, item.size);
		break;
	case KIND_STRING:
		taken = unpack_string(lua, input);
		break;
	}
	input->results++;
	return taken;
}

static int
struct_unpack(lua_State *lua)
{
	struct format format = format_of(luaL_checkstring(lua, 1));
	struct input input = {0};

	input.data = luaL_checklstring(lua, 2, &input.len);
	input.at = (size_t)luaL_optinteger(lua, 3, 1);
	luaL_argcheck(lua, input.at > 0, 3, "offset must be 1 or greater");
	input.at--;
	while (*format.at != '\0') {
		struct item item = next_item(lua, &format, input.at);

		input.at += item.padding;
		check_left(lua, &input, item.size);
		luaL_checkstack(lua, 2, "too many results");
		input.at += unpack_item(lua, &input, &format, item);
	}
	lua_pushinteger(lua, (lua_Integer)(input.at + 1));
	return input.results + 1;
}

static int
struct_size(lua_State *lua)
{
	struct format format = format_of(luaL_checkstring(lua, 1));
	size_t size = 0;

	while (*format.at != '\0') {
		struct item item = next_item(lua, &format, size);

		if (item.kind == KIND_STRING)
			return luaL_argerror(lua, 1, "option 's' has no fixed size");
		if (item.kind == KIND_CHARS && item.size == 0)
			return luaL_argerror(lua, 1, "option 'c0' has no fixed size");
		/* Letters and digits without a meaning are ignored here, but not by the others. */
		if (!isalnum((unsigned char)item.option))
			obey(lua, &format, item.option);
		size += item.padding + item.size;
	}
	lua_pushinteger(lua, (lua_Integer)size);
	return 1;
}

int
script_open_struct(lua_State *lua)
{
	static const luaL_Reg functions[] = {
	    {"pack", struct_pack},
	    {"unpack", struct_unpack},
	    {"size", struct_size},
	    {NULL, NULL},
	};

	luaL_register(lua, "struct", functions);
	return 1;
}
