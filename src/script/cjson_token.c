#include "config.h"

#include "script/cjson_token.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "json/utf8.h"

/* The bytes that are tokens by themselves, and those that begin longer ones. 0: a mistake. */
enum first { FIRST_MISTAKE, FIRST_SPACE, FIRST_OF_MORE, FIRST_WHOLE };

static const struct first_byte {
	enum first first;
	enum token_kind kind;
} first_bytes[UCHAR_MAX + 1] = {
    ['{'] = {FIRST_WHOLE, TOKEN_OBJECT_BEGIN},
    ['}'] = {FIRST_WHOLE, TOKEN_OBJECT_END},
    ['['] = {FIRST_WHOLE, TOKEN_ARRAY_BEGIN},
    [']'] = {FIRST_WHOLE, TOKEN_ARRAY_END},
    [':'] = {FIRST_WHOLE, TOKEN_COLON},
    [','] = {FIRST_WHOLE, TOKEN_COMMA},
    ['\0'] = {FIRST_WHOLE, TOKEN_END}, /* also in the middle of the text */
    [' '] = {FIRST_SPACE, TOKEN_ERROR},
    ['\t'] = {FIRST_SPACE, TOKEN_ERROR},
    ['\n'] = {FIRST_SPACE, TOKEN_ERROR},
    ['\r'] = {FIRST_SPACE, TOKEN_ERROR},
    ['"'] = {FIRST_OF_MORE, TOKEN_STRING},
    ['t'] = {FIRST_OF_MORE, TOKEN_BOOLEAN},
    ['f'] = {FIRST_OF_MORE, TOKEN_BOOLEAN},
    ['n'] = {FIRST_OF_MORE, TOKEN_NULL}, /* or "nan" */
    ['N'] = {FIRST_OF_MORE, TOKEN_ERROR},
    ['i'] = {FIRST_OF_MORE, TOKEN_ERROR},
    ['I'] = {FIRST_OF_MORE, TOKEN_ERROR},
    ['+'] = {FIRST_OF_MORE, TOKEN_ERROR},
    ['-'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['0'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['1'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['2'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['3'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['4'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['5'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['6'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['7'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['8'] = {FIRST_OF_MORE, TOKEN_NUMBER},
    ['9'] = {FIRST_OF_MORE, TOKEN_NUMBER},
};

/* What the byte behind a backslash stands for; 0: a mistake. */
static const char escapes[UCHAR_MAX + 1] = {
    ['"'] = '"',
    ['\\'] = '\\',
    ['/'] = '/',
    ['b'] = '\b',
    ['f'] = '\f',
    ['n'] = '\n',
    ['r'] = '\r',
    ['t'] = '\t',
};

static void
set_error(const struct tokens *tokens, struct token *token, const char *error)
{
	token->kind = TOKEN_ERROR;
	token->index = (size_t)(tokens->at - tokens->text);
	token->error = error;
}

/* The number of four hexadecimal digits, or -1. A NUL ends the digits. */
static int32_t
read_hex(const char *text)
{
	int32_t number = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return -1;
		number = number * 16 + digit;
	}
	return number;
}

/* The character of "\uXXXX", or of two of them that are a surrogate pair; -1: it is none. */
static int32_t
read_escape(const char *text, size_t *len)
{
	int32_t unit = read_hex(text + 2);

	*len = 6;
	if (unit < 0 || (unit & 0xf800) != 0xd800)
		return unit;
	if ((unit & 0x400) != 0 || text[6] != '\\' || text[7] != 'u')
		return -1;
	int32_t low = read_hex(text + 8);

	if (low < 0 || (low & 0xfc00) != 0xdc00)
		return -1;
	*len = 12;
	return ((unit & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
}

/* At a backslash. False: a mistake, which is in the token. */
static bool
read_escaped(struct tokens *tokens, struct token *token)
{
	char *out = tokens->scratch;
	char c = tokens->at[1];
	size_t len = 2;

	if (c == 'u') {
		int32_t code = read_escape(tokens->at, &len);

		if (code < 0) {
			set_error(tokens, token, "invalid unicode escape code");
			return false;
		}
		/* In UTF-8, which is shorter than the escape. */
		token->text_len += json_utf8_write(out + token->text_len, (unsigned long)code);
	} else if (escapes[(unsigned char)c] != 0) {
		out[token->text_len++] = escapes[(unsigned char)c];
	} else {
		set_error(tokens, token, "invalid escape code");
		return false;
	}
	tokens->at += len;
	return true;
}

/* A string with escapes is put together in the scratch, which exists if the text has a backslash.
 */
static void
read_string(struct tokens *tokens, struct token *token)
{
	const char *begin = ++tokens->at;
	size_t plain_len = strcspn(begin, "\"\\");

	token->kind = TOKEN_STRING;
	token->text = begin[plain_len] == '\\' ? tokens->scratch : begin;
	while (*tokens->at != '"') {
		if (*tokens->at == '\0') {
			set_error(tokens, token, "unexpected end of string");
			return;
		}
		if (token->text == begin) {
			tokens->at += plain_len;
			token->text_len = plain_len;
		} else if (*tokens->at != '\\') {
			tokens->scratch[token->text_len++] = *tokens->at++;
		} else if (!read_escaped(tokens, token)) {
			return;
		}
	}
	tokens->at++;
}

/* True for what strtod() reads, but JSON does not have. */
static bool
is_invalid_number(const char *text)
{
	if (*text == '+')
		return true;
	if (*text == '-')
		text++;
	if (*text == '0')
		return (text[1] | 0x20) == 'x' || (text[1] >= '0' && text[1] <= '9');
	return strncasecmp(text, "inf", 3) == 0 || strncasecmp(text, "nan", 3) == 0;
}

static void
read_number(struct tokens *tokens, struct token *token)
{
	char *end;

	if (!tokens->accepts_invalid_numbers && is_invalid_number(tokens->at)) {
		set_error(tokens, token, "invalid number");
		return;
	}
	token->kind = TOKEN_NUMBER;
	token->number = strtod(tokens->at, &end);
	if (end == tokens->at)
		set_error(tokens, token, "invalid number");
	tokens->at = end;
}

static bool
read_word(struct tokens *tokens, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(tokens->at, word, len) != 0)
		return false;
	tokens->at += len;
	return true;
}

static void
read_word_or_number(struct tokens *tokens, struct token *token)
{
	if (read_word(tokens, "true")) {
		token->kind = TOKEN_BOOLEAN;
		token->is_true = true;
	} else if (read_word(tokens, "false")) {
		token->kind = TOKEN_BOOLEAN;
	} else if (read_word(tokens, "null")) {
		token->kind = TOKEN_NULL;
	} else if (tokens->accepts_invalid_numbers && is_invalid_number(tokens->at)) {
		read_number(tokens, token);
	} else {
		set_error(tokens, token, "invalid token");
	}
}

struct token
tokens_next(struct tokens *tokens)
{
	struct token token = {0};

	while (first_bytes[(unsigned char)*tokens->at].first == FIRST_SPACE)
		tokens->at++;
	token.index = (size_t)(tokens->at - tokens->text);
	struct first_byte byte = first_bytes[(unsigned char)*tokens->at];

	token.kind = byte.kind;
	if (byte.first == FIRST_MISTAKE)
		set_error(tokens, &token, "invalid token");
	else if (byte.first == FIRST_WHOLE)
		tokens->at += byte.kind != TOKEN_END;
	else if (byte.kind == TOKEN_STRING)
		read_string(tokens, &token);
	else if (byte.kind == TOKEN_NUMBER)
		read_number(tokens, &token);
	else
		read_word_or_number(tokens, &token);
	return token;
}

const char *
token_name(const struct token *token)
{
	static const char *const names[] = {
	    [TOKEN_OBJECT_BEGIN] = "T_OBJ_BEGIN",
	    [TOKEN_OBJECT_END] = "T_OBJ_END",
	    [TOKEN_ARRAY_BEGIN] = "T_ARR_BEGIN",
	    [TOKEN_ARRAY_END] = "T_ARR_END",
	    [TOKEN_STRING] = "T_STRING",
	    [TOKEN_NUMBER] = "T_NUMBER",
	    [TOKEN_BOOLEAN] = "T_BOOLEAN",
	    [TOKEN_NULL] = "T_NULL",
	    [TOKEN_COLON] = "T_COLON",
	    [TOKEN_COMMA] = "T_COMMA",
	    [TOKEN_END] = "T_END",
	};

	return token->kind == TOKEN_ERROR ? token->error : names[token->kind];
}
