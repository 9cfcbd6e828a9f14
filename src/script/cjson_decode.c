#include "config.h"

#include "script/cjson_decode.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "script/cjson_config.h"
#include "script/cjson_token.h"

struct decoder {
	lua_State *lua;
	struct tokens tokens;
	int depth;
	int max_depth;
};

static int
refuse(struct decoder *decoder, const char *expected, const struct token *token)
{
	return luaL_error(decoder->lua, "Expected %s but found %s at character %d", expected,
	    token_name(token), (int)token->index + 1);
}

/* Into an array or an object, which takes so many values on the stack. */
static void
descend(struct decoder *decoder, int slots)
{
	decoder->depth++;
	if (decoder->depth > decoder->max_depth || !lua_checkstack(decoder->lua, slots))
		luaL_error(decoder->lua,
		    "Found too many nested data structures (%d) at character %d", decoder->depth,
		    (int)(decoder->tokens.at - decoder->tokens.text));
}

static void push_value(struct decoder *decoder, const struct token *token);

static void
push_array(struct decoder *decoder)
{
	descend(decoder, 2);
	lua_newtable(decoder->lua);
	struct token token = tokens_next(&decoder->tokens);

	for (int i = 1; token.kind != TOKEN_ARRAY_END; i++) {
		if (i > 1) {
			if (token.kind != TOKEN_COMMA)
				refuse(decoder, "comma or array end", &token);
			token = tokens_next(&decoder->tokens);
		}
		push_value(decoder, &token);
		lua_rawseti(decoder->lua, -2, i);
		token = tokens_next(&decoder->tokens);
	}
	decoder->depth--;
}

/* A key and its value, which become an item of the table at the top of the stack. */
static void
add_member(struct decoder *decoder, const struct token *key)
{
	if (key->kind != TOKEN_STRING)
		refuse(decoder, "object key string", key);
	lua_pushlstring(decoder->lua, key->text, key->text_len);
	struct token token = tokens_next(&decoder->tokens);

	if (token.kind != TOKEN_COLON)
		refuse(decoder, "colon", &token);
	token = tokens_next(&decoder->tokens);
	push_value(decoder, &token);
	lua_rawset(decoder->lua, -3);
}

static void
push_object(struct decoder *decoder)
{
	bool is_first = true;

	descend(decoder, 3);
	lua_newtable(decoder->lua);
	struct token token = tokens_next(&decoder->tokens);

	for (; token.kind != TOKEN_OBJECT_END; is_first = false) {
		if (!is_first) {
			if (token.kind != TOKEN_COMMA)
				refuse(decoder, "comma or object end", &token);
			token = tokens_next(&decoder->tokens);
		}
		add_member(decoder, &token);
		token = tokens_next(&decoder->tokens);
	}
	decoder->depth--;
}

static void
push_value(struct decoder *decoder, const struct token *token)
{
	switch (token->kind) {
	case TOKEN_STRING:
		lua_pushlstring(decoder->lua, token->text, token->text_len);
		return;
	case TOKEN_NUMBER:
		lua_pushnumber(decoder->lua, token->number);
		return;
	case TOKEN_BOOLEAN:
		lua_pushboolean(decoder->lua, token->is_true);
		return;
	case TOKEN_NULL:
		lua_pushlightuserdata(decoder->lua, NULL);
		return;
	case TOKEN_OBJECT_BEGIN:
		push_object(decoder);
		return;
	case TOKEN_ARRAY_BEGIN:
		push_array(decoder);
		return;
	default:
		refuse(decoder, "value", token);
	}
}

int
cjson_decode(lua_State *lua, const struct cjson_config *config)
{
	struct decoder decoder = {.lua = lua, .max_depth = config->decode_max_depth};
	size_t len;

	luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
	const char *text = luaL_checklstring(lua, 1, &len);

	if (len >= 2 && (text[0] == '\0' || text[1] == '\0'))
		return luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
	decoder.tokens = (struct tokens){.text = text, .at = text};
	decoder.tokens.accepts_invalid_numbers = config->decode_invalid;
	if (memchr(text, '\\', len) != NULL)
		decoder.tokens.scratch = lua_newuserdata(lua, len);
	struct token token = tokens_next(&decoder.tokens);

	push_value(&decoder, &token);
	token = tokens_next(&decoder.tokens);
	if (token.kind != TOKEN_END)
		return refuse(&decoder, "the end", &token);
	return 1;
}
