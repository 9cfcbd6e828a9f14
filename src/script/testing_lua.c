#include "config.h"

#include "script/testing_lua.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char show[] =
    "function show(v)\n"
    "  if type(v) == 'number' then return string.format('%.17g', v) end\n"
    "  if type(v) == 'string' then\n"
    "    local function hex(c) return string.format('%02x', c:byte()) end\n"
    "    return \"'\" .. v:gsub('%z', '\\0'):gsub('[%z\\1-\\255]', hex) .. \"'\"\n"
    "  end\n"
    "  if type(v) ~= 'table' then return tostring(v) end\n"
    "  local items = {}\n"
    "  for k, i in pairs(v) do items[#items + 1] = show(k) .. '=' .. show(i) end\n"
    "  table.sort(items)\n"
    "  return '{' .. table.concat(items, ' ') .. '}'\n"
    "end\n"
    "function show_all(ok, ...)\n"
    "  if not ok then return 'error: ' .. tostring((...)):gsub('^%[.-%]:%d+: ', '') end\n"
    "  local shown = {}\n"
    "  for i = 1, select('#', ...) do shown[i] = show((select(i, ...))) end\n"
    "  return table.concat(shown, ' ')\n"
    "end\n";

static struct memory {
	size_t bytes;
	size_t allocations_left;
} memory;

enum { NO_LIMIT = 1 << 30, ALLOCATIONS_MAX = 10000 };

static void *
allocate(void *arg, void *block, size_t old_size, size_t size)
{
	struct memory *m = arg;

	if (size > old_size) {
		if (m->allocations_left == 0)
			return NULL;
		m->allocations_left--;
	}
	m->bytes += size - old_size;
	if (size > 0)
		return realloc(block, size);
	free(block);
	return NULL;
}

static void
open_library(lua_State *lua, const char *name, lua_CFunction open)
{
	lua_pushcfunction(lua, open);
	lua_pushstring(lua, name);
	lua_call(lua, 1, 0);
}

lua_State *
testing_lua_open(int (*open)(lua_State *lua))
{
	memory = (struct memory){.allocations_left = NO_LIMIT};
	lua_State *lua = lua_newstate(allocate, &memory);

	ck_assert_ptr_nonnull(lua);
	open_library(lua, "", luaopen_base);
	open_library(lua, LUA_STRLIBNAME, luaopen_string);
	open_library(lua, LUA_TABLIBNAME, luaopen_table);
	open_library(lua, LUA_MATHLIBNAME, luaopen_math);
	open_library(lua, "", open);
	ck_assert_int_eq(luaL_dostring(lua, show), 0);
	ck_assert_int_eq(lua_gettop(lua), 0);
	return lua;
}

void
testing_lua_close(lua_State *lua)
{
	lua_close(lua);
	ck_assert_uint_eq(memory.bytes, 0);
}

const char *
testing_lua_call(lua_State *lua, const char *expressions)
{
	static char text[1 << 20];

	snprintf(
	    text, sizeof(text), "return show_all(pcall(function() return %s end))", expressions);
	lua_settop(lua, 0);
	if (luaL_loadstring(lua, text) != 0 || lua_pcall(lua, 0, 1, 0) != 0)
		snprintf(text, sizeof(text), "failed: %s", lua_tostring(lua, -1));
	else
		snprintf(text, sizeof(text), "%s", lua_tostring(lua, -1));
	lua_settop(lua, 0);
	return text;
}

void
testing_lua_all(lua_State *lua, const struct testing_lua_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *result = testing_lua_call(lua, cases[i].call);

		ck_assert_msg(strcmp(result, cases[i].result) == 0, "%s\n is %s\nnot %s",
		    cases[i].call, result, cases[i].result);
	}
}

void
testing_lua_short_of_memory(lua_State *lua, struct testing_lua_case test)
{
	size_t failed = 0;
	const char *result = "";

	/* Only the second call has everything that stays. */
	testing_lua_all(lua, &test, 1);
	for (size_t most = 1; most < ALLOCATIONS_MAX; most++) {
		memory.allocations_left = most;
		result = testing_lua_call(lua, test.call);
		memory.allocations_left = NO_LIMIT;
		if (strcmp(result, test.result) == 0)
			break;
		failed++;
		lua_gc(lua, LUA_GCCOLLECT, 0);
	}
	ck_assert_str_eq(result, test.result);
	ck_assert_uint_gt(failed, 1);
}
