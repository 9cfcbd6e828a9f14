#ifndef SCRIPT_CJSON_TOKEN_H
#define SCRIPT_CJSON_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The tokens of JSON as cjson reads it: strings may have any bytes but NUL and need not be UTF-8,
 * and numbers are what strtod() reads.
 */
enum token_kind {
	TOKEN_OBJECT_BEGIN,
	TOKEN_OBJECT_END,
	TOKEN_ARRAY_BEGIN,
	TOKEN_ARRAY_END,
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_BOOLEAN,
	TOKEN_NULL,
	TOKEN_COLON,
	TOKEN_COMMA,
	TOKEN_END,
	TOKEN_ERROR,
};

struct token {
	enum token_kind kind;
	size_t index;      /* of its first byte, or of the mistake */
	const char *error; /* what the mistake is */
	double number;
	bool is_true;
	const char *text; /* of a string: valid until the next token */
	size_t text_len;
};

struct tokens {
	const char *text; /* ends with NUL; borrowed */
	const char *at;
	char *scratch; /* as long as the text, for strings with escapes; borrowed */
	bool accepts_invalid_numbers;
};

struct token tokens_next(struct tokens *tokens);

/* What errors call the token. */
const char *token_name(const struct token *token);

#endif
