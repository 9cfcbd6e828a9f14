#include "config.h"

#include "cmd/syntax.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

struct reader {
	const char *at;
};

/* The contents of a bracket, or of the whole text. */
struct part {
	struct syntax *list;
	bool repeated; /* it ends in ... */
};

static struct part read_part(struct reader *r, char end);

void
syntax_free(struct syntax *list)
{
	struct syntax *next;

	for (; list != NULL; list = next) {
		next = list->next;
		syntax_free(list->children);
		xfree(list);
	}
}

static struct syntax *
syntax_new(enum syntax_kind kind, struct syntax *children)
{
	struct syntax *s = xcalloc(1, sizeof(*s));

	s->kind = kind;
	s->children = children;
	return s;
}

static struct slice
read_word(struct reader *r)
{
	struct slice word = {r->at, strcspn(r->at, " []<>|")};

	assert(word.len > 0);
	r->at += word.len;
	return word;
}

static bool
is_token(struct slice word)
{
	size_t i;

	for (i = 0; i < word.len; i++) {
		if (islower((unsigned char)word.ptr[i]))
			return false;
	}
	return true;
}

static bool
slices_same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || slice_eq(a, b));
}

/* The repetition in a bracket may leave out the token: "ID id [id ...]". */
static bool
is_repetition(const struct syntax *of, const struct syntax *s)
{
	return of->kind == s->kind && slices_same(of->name, s->name) &&
	       (s->token.ptr == NULL || slices_same(of->token, s->token)) && of->children == NULL &&
	       s->children == NULL;
}

static size_t
list_len(const struct syntax *list)
{
	size_t len = 0;

	for (; list != NULL; list = list->next)
		len++;
	return len;
}

/* Makes one node of a list; a single node stays as it is. */
static struct syntax *
gathered(enum syntax_kind kind, struct syntax *list)
{
	return list->next == NULL ? list : syntax_new(kind, list);
}

/*
 * Handles "a b [a b ...]": if the list ends in what the bracket repeats, that end becomes one node
 * that may be repeated, and the bracket is dropped.
 */
static bool
fold_repeated(struct syntax **list, struct syntax *bracket)
{
	size_t have = list_len(*list), len = list_len(bracket);
	struct syntax **tail = list, *a, *b;

	if (have < len)
		return false;
	for (; have > len && *tail != NULL; have--)
		tail = &(*tail)->next;
	for (a = *tail, b = bracket; a != NULL; a = a->next, b = b->next) {
		if (!is_repetition(a, b))
			return false;
	}
	*tail = gathered(SYNTAX_BLOCK, *tail);
	(*tail)->multiple = true;
	(*tail)->multiple_token = bracket->token.ptr != NULL;
	syntax_free(bracket);
	return true;
}

static struct syntax *
read_bracket(struct reader *r, char end, bool optional, struct syntax **before)
{
	struct part part;
	struct syntax *s;

	r->at++;
	part = read_part(r, end);
	assert(*r->at == end && part.list != NULL);
	r->at++;
	if (part.repeated && fold_repeated(before, part.list))
		return NULL;
	s = gathered(SYNTAX_BLOCK, part.list);
	s->optional = s->optional || optional;
	s->multiple = s->multiple || part.repeated;
	return s;
}

static struct syntax *
read_word_or_token(struct reader *r, struct syntax **before)
{
	struct slice word = read_word(r);
	struct syntax *s;

	if (!is_token(word)) {
		s = syntax_new(SYNTAX_ARGUMENT, NULL);
		s->name = word;
		return s;
	}
	if (r->at[0] == ' ' && r->at[1] == '<') {
		r->at++;
		s = read_bracket(r, '>', false, before);
	} else if (r->at[0] == ' ' && islower((unsigned char)r->at[1])) {
		r->at++;
		s = syntax_new(SYNTAX_ARGUMENT, NULL);
		s->name = read_word(r);
	} else {
		s = syntax_new(SYNTAX_TOKEN, NULL);
	}
	assert(s != NULL);
	s->token = word;
	return s;
}

/* Reads up to the end of an alternative. */
static struct part
read_sequence(struct reader *r, char end)
{
	struct part part = {NULL, false};
	struct syntax **tail, *s;

	while (*r->at != end && *r->at != '|') {
		assert(*r->at != '\0' && !part.repeated);
		if (*r->at == ' ') {
			r->at++;
			continue;
		}
		if (strncmp(r->at, "...", 3) == 0) {
			r->at += 3;
			part.repeated = true;
			for (; *r->at == ' '; r->at++)
				;
			continue;
		}
		if (*r->at == '[')
			s = read_bracket(r, ']', true, &part.list);
		else if (*r->at == '<')
			s = read_bracket(r, '>', false, &part.list);
		else
			s = read_word_or_token(r, &part.list);
		for (tail = &part.list; *tail != NULL; tail = &(*tail)->next)
			;
		*tail = s;
	}
	return part;
}

static struct part
read_part(struct reader *r, char end)
{
	struct part part = read_sequence(r, end), more;
	struct syntax **tail;

	if (*r->at == end)
		return part;
	assert(part.list != NULL);
	part.list = gathered(SYNTAX_BLOCK, part.list);
	tail = &part.list->next;
	while (*r->at == '|') {
		r->at++;
		more = read_sequence(r, end);
		assert(more.list != NULL);
		*tail = gathered(SYNTAX_BLOCK, more.list);
		tail = &(*tail)->next;
		part.repeated = part.repeated || more.repeated;
	}
	part.list = syntax_new(SYNTAX_ONEOF, part.list);
	return part;
}

struct syntax *
syntax_parse(const char *text)
{
	struct reader r = {text};
	struct part part = read_part(&r, '\0');

	assert(*r.at == '\0' && !part.repeated);
	return part.list;
}
