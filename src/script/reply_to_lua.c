#include "config.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "script/state.h"

/* From a reply to a value of Lua, as in Redis: the table of conversions in its manual, "Lua API".
 */

struct reader {
	lua_State *L;
	const char *at, *end;
};

/* The rest of the line behind the type. */
static struct slice
take_line(struct reader *r)
{
	const char *from = r->at + 1, *end = memchr(from, '\r', (size_t)(r->end - from));

	assert(end != NULL);
	r->at = end + 2;
	return (struct slice){from, (size_t)(end - from)};
}

static int64_t
take_number(struct reader *r)
{
	int64_t v = 0;
	bool is_number = slice_to_i64(take_line(r), &v);

	assert(is_number);
	(void)is_number;
	return v;
}

/* Pushes {name = value}; the value is on top. */
static void
wrap_value(lua_State *L, const char *name)
{
	lua_createtable(L, 0, 1);
	lua_insert(L, -2);
	lua_setfield(L, -2, name);
}

static void push_value(struct reader *r);

/* A string, or false for the null of RESP2. */
static void
push_bulk(struct reader *r)
{
	int64_t len = take_number(r);

	if (len < 0) {
		lua_pushboolean(r->L, false);
		return;
	}
	lua_pushlstring(r->L, r->at, (size_t)len);
	r->at += len + 2;
}

static void
push_array(struct reader *r)
{
	int64_t count = take_number(r);

	if (count < 0) {
		lua_pushboolean(r->L, false);
		return;
	}
	lua_createtable(r->L, count < 1 << 20 ? (int)count : 1 << 20, 0);
	for (int64_t i = 1; i <= count; i++) {
		push_value(r);
		lua_rawseti(r->L, -2, (int)i);
	}
}

static void
push_map(struct reader *r)
{
	int64_t count = take_number(r);

	lua_newtable(r->L);
	for (int64_t i = 0; i < count; i++) {
		push_value(r);
		push_value(r);
		lua_rawset(r->L, -3);
	}
	wrap_value(r->L, "map");
}

static void
push_set(struct reader *r)
{
	int64_t count = take_number(r);

	lua_newtable(r->L);
	for (int64_t i = 0; i < count; i++) {
		push_value(r);
		lua_pushboolean(r->L, true);
		lua_rawset(r->L, -3);
	}
	wrap_value(r->L, "set");
}

static void
push_double(struct reader *r)
{
	struct slice line = take_line(r);
	char text[64];
	double v;

	assert(line.len < sizeof(text));
	memcpy(text, line.ptr, line.len);
	text[line.len] = '\0';
	v = strtod(text, NULL);
	lua_pushnumber(r->L, v);
	wrap_value(r->L, "double");
}

static void
push_verbatim(struct reader *r)
{
	int64_t len = take_number(r);

	assert(len >= 4);
	lua_createtable(r->L, 0, 2);
	lua_pushlstring(r->L, r->at, 3);
	lua_setfield(r->L, -2, "format");
	lua_pushlstring(r->L, r->at + 4, (size_t)len - 4);
	lua_setfield(r->L, -2, "string");
	r->at += len + 2;
	wrap_value(r->L, "verbatim_string");
}

static void
push_line(struct reader *r, const char *name)
{
	struct slice line = take_line(r);

	lua_pushlstring(r->L, line.ptr, line.len);
	wrap_value(r->L, name);
}

static void
push_value(struct reader *r)
{
	luaL_checkstack(r->L, 6, "a reply is nested too deeply");
	switch (*r->at) {
	case ':':
		lua_pushnumber(r->L, (lua_Number)take_number(r));
		break;
	case '$':
		push_bulk(r);
		break;
	case '+':
		push_line(r, "ok");
		break;
	case '-':
		push_line(r, "err");
		script_mark_counted(r->L);
		break;
	case '*':
	case '>':
		push_array(r);
		break;
	case '%':
		push_map(r);
		break;
	case '~':
		push_set(r);
		break;
	case '_':
		(void)take_line(r);
		lua_pushnil(r->L);
		break;
	case '#':
		lua_pushboolean(r->L, take_line(r).ptr[0] == 't');
		break;
	case ',':
		push_double(r);
		break;
	case '(':
		push_line(r, "big_number");
		break;
	default:
		assert(*r->at == '=');
		push_verbatim(r);
	}
}

void
script_push_reply(lua_State *L, struct slice reply)
{
	struct reader r = {L, reply.ptr, reply.ptr + reply.len};

	push_value(&r);
}
