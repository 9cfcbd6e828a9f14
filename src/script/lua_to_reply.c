#include "config.h"

#include <lauxlib.h>
#include <string.h>

#include "resp/writer.h"
#include "script/state.h"

/* From a value of Lua to a reply, as in Redis: the table of conversions in its manual. */

/* What it writes; a value of Lua can be larger than its memory, if it contains a table twice. */
#define REPLY_MAX ((size_t)512 << 20)

/* Values between two looks at the clock. */
#define VALUES_A_LOOK 1024

struct writer {
	lua_State *L;
	struct buffer *out;
	int proto, resp;
	size_t values; /* written so far */
};

static void put_value(struct writer *w);

/* Pushes the field of the table on top; false, and nothing is pushed: it has not this type. */
static bool
push_field(lua_State *L, const char *name, int type)
{
	lua_pushstring(L, name);
	lua_rawget(L, -2);
	if (lua_type(L, -1) == type)
		return true;
	lua_pop(L, 1);
	return false;
}

static struct slice
top_string(lua_State *L)
{
	struct slice s;

	s.ptr = lua_tolstring(L, -1, &s.len);
	return s;
}

/* Appends a text of one line: line ends become spaces. */
static void
append_line(struct buffer *out, struct slice text)
{
	size_t from = out->len;

	buffer_append_slice(out, text);
	for (size_t i = from; i < out->len; i++)
		if (out->ptr[i] == '\r' || out->ptr[i] == '\n')
			out->ptr[i] = ' ';
	buffer_append_str(out, "\r\n");
}

static void
put_line(struct buffer *out, char type, struct slice text)
{
	buffer_append(out, &type, 1);
	append_line(out, text);
}

static void
put_big_number(struct writer *w, struct slice text)
{
	if (w->proto >= 3) {
		put_line(w->out, '(', text);
		return;
	}
	buffer_appendf(w->out, "$%zu\r\n", text.len);
	append_line(w->out, text);
}

static void
put_map(struct writer *w)
{
	size_t count = 0;

	for (lua_pushnil(w->L); lua_next(w->L, -2) != 0; lua_pop(w->L, 1))
		count++;
	resp_put_map(w->out, w->proto, count);
	for (lua_pushnil(w->L); lua_next(w->L, -2) != 0;) {
		lua_pushvalue(w->L, -2);
		put_value(w);
		put_value(w);
	}
}

static void
put_set(struct writer *w)
{
	size_t count = 0;

	for (lua_pushnil(w->L); lua_next(w->L, -2) != 0; lua_pop(w->L, 1))
		count++;
	resp_put_set(w->out, w->proto, count);
	for (lua_pushnil(w->L); lua_next(w->L, -2) != 0; lua_pop(w->L, 1)) {
		lua_pushvalue(w->L, -2);
		put_value(w);
	}
}

/* False: it is none. */
static bool
put_verbatim(struct writer *w)
{
	struct slice text, format;
	char kind[4] = "   ";

	if (!push_field(w->L, "string", LUA_TSTRING))
		return false;
	text = top_string(w->L);
	lua_pop(w->L, 1); /* the table keeps it */
	if (!push_field(w->L, "format", LUA_TSTRING))
		return false;
	format = top_string(w->L);
	lua_pop(w->L, 1);
	memcpy(kind, format.ptr, format.len < 3 ? format.len : 3);
	resp_put_verbatim(w->out, w->proto, kind, text);
	return true;
}

/* A table with one of the fields that name a type; false: it is an array. */
static bool
put_typed(struct writer *w)
{
	lua_State *L = w->L;
	bool is_put = true;

	if (push_field(L, "err", LUA_TSTRING)) {
		put_line(w->out, '-', top_string(L));
		script_count_error(L, -2, top_string(L));
	} else if (push_field(L, "ok", LUA_TSTRING)) {
		put_line(w->out, '+', top_string(L));
	} else if (push_field(L, "double", LUA_TNUMBER)) {
		resp_put_double(w->out, w->proto, lua_tonumber(L, -1));
	} else if (push_field(L, "map", LUA_TTABLE)) {
		put_map(w);
	} else if (push_field(L, "set", LUA_TTABLE)) {
		put_set(w);
	} else if (push_field(L, "big_number", LUA_TSTRING)) {
		put_big_number(w, top_string(L));
	} else if (push_field(L, "verbatim_string", LUA_TTABLE)) {
		is_put = put_verbatim(w);
	} else {
		return false;
	}
	lua_pop(L, 1);
	return is_put;
}

static void
put_array(struct writer *w)
{
	size_t count = 0;

	for (;; count++) {
		lua_rawgeti(w->L, -1, (int)count + 1);
		if (lua_isnil(w->L, -1))
			break;
		lua_pop(w->L, 1);
	}
	lua_pop(w->L, 1);
	resp_put_array(w->out, count);
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(w->L, -1, (int)i + 1);
		put_value(w);
	}
}

/* Writes the value on top and removes it. */
static void
put_value(struct writer *w)
{
	lua_State *L = w->L;

	if (w->out->len > REPLY_MAX)
		luaL_error(L, "the reply is too large");
	if (++w->values % VALUES_A_LOOK == 0)
		script_hook(L, NULL);
	if (!lua_checkstack(L, 6)) {
		resp_put_error(w->out, SLICE("ERR reached lua stack limit"));
		lua_pop(L, 1);
		return;
	}
	switch (lua_type(L, -1)) {
	case LUA_TSTRING:
		resp_put_bulk(w->out, top_string(L));
		break;
	case LUA_TNUMBER: {
		lua_Number v = lua_tonumber(L, -1);

		/* What is out of range becomes the smallest number, as on the processors that
		 * Redis runs on. */
		resp_put_int(w->out, v >= -9223372036854775808.0 && v < 9223372036854775808.0
					 ? (int64_t)v
					 : INT64_MIN);
		break;
	}
	case LUA_TBOOLEAN:
		if (w->resp >= 3)
			resp_put_bool(w->out, w->proto, lua_toboolean(L, -1) != 0);
		else if (lua_toboolean(L, -1))
			resp_put_int(w->out, 1);
		else
			resp_put_null(w->out, w->proto);
		break;
	case LUA_TTABLE:
		if (!put_typed(w))
			put_array(w);
		break;
	default:
		resp_put_null(w->out, w->proto);
	}
	lua_pop(L, 1);
}

void
script_put_value(lua_State *L, struct buffer *out, int proto, int resp)
{
	struct writer w = {.L = L, .out = out, .proto = proto, .resp = resp};

	put_value(&w);
}
