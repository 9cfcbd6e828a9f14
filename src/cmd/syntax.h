#ifndef CMD_SYNTAX_H
#define CMD_SYNTAX_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Parser of the syntax of a command's arguments, as its row gives it, for COMMAND DOCS.
 *
 *     word               an argument; in capitals a token, typed as it is
 *     TOKEN word         an argument after its token; <...> may replace the word
 *     [ ... ]            optional
 *     < ... >            a group
 *     a | b              one of these; extends to the brackets around it
 *     a b [a b ...]      "a b" once or more; a bracket that ends in ... without such a beginning
 *                        may itself be repeated
 *
 * The module knows no commands. Its input comes from the command table only, so bad syntax is a
 * bug.
 */
enum syntax_kind {
	SYNTAX_ARGUMENT,
	SYNTAX_TOKEN, /* without an argument */
	SYNTAX_ONEOF,
	SYNTAX_BLOCK,
};

struct syntax {
	enum syntax_kind kind;
	struct slice name; /* SYNTAX_ARGUMENT: the word; otherwise empty */
	struct slice
	    token; /* SYNTAX_TOKEN: the token; otherwise the one before it; ptr NULL: none */
	bool optional;
	bool multiple;
	bool multiple_token;     /* the token is repeated too */
	struct syntax *children; /* of SYNTAX_ONEOF and SYNTAX_BLOCK */
	struct syntax *next;
};

/* Borrows text. Returns owned (syntax_free), NULL for no arguments. */
struct syntax *syntax_parse(const char *text);
void syntax_free(struct syntax *list);

#endif
