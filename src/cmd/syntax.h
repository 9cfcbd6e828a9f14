#ifndef CMD_SYNTAX_H
#define CMD_SYNTAX_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * The syntax of a command's arguments, as its row writes it, taken apart for COMMAND DOCS.
 *
 *     word               an argument; in capitals a token, typed as it stands
 *     TOKEN word         an argument that its token announces; <...> may stand for the word
 *     [ ... ]            may be left out
 *     < ... >            belongs together
 *     a | b              one of these; reaches to the brackets around it
 *     a b [a b ...]      "a b" once or more; a bracket that ends in ... without such a beginning
 *                        may itself be repeated
 *
 * It knows no command. What it is given stands in the table, so bad syntax is a bug.
 */
enum syntax_kind {
	SYNTAX_ARGUMENT,
	SYNTAX_TOKEN, /* alone, announcing nothing */
	SYNTAX_ONEOF,
	SYNTAX_BLOCK,
};

struct syntax {
	enum syntax_kind kind;
	struct slice name;  /* SYNTAX_ARGUMENT: the word; else empty */
	struct slice token; /* what announces it, or the token itself; ptr NULL if there is none */
	bool optional;
	bool multiple;
	bool multiple_token;     /* each time with its token */
	struct syntax *children; /* of SYNTAX_ONEOF and SYNTAX_BLOCK */
	struct syntax *next;
};

/* Borrows text. Returns owned (syntax_free), NULL for no arguments. */
struct syntax *syntax_parse(const char *text);
void syntax_free(struct syntax *list);

#endif
