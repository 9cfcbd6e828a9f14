#include "config.h"

#include "resp/reply.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

enum { DOUBLE_BYTES = 400, INPUT_KEPT = 64 * 1024 };

/* An aggregate that is not complete yet. */
struct open_value {
	struct resp_value *value; /* does not move: its parent grows only when it is complete */
	size_t wanted;            /* items */
	size_t cap;               /* of value->items */
	bool is_attribute;        /* then value is owned here, and dropped */
};

struct resp_reader {
	size_t max_bytes;
	size_t max_depth;
	struct buffer in;
	size_t at;      /* in.ptr up to here is read */
	size_t scanned; /* bytes after `at` that are known to hold no CR */
	struct resp_value *root;
	struct open_value *open;
	size_t depth;
	size_t charged;  /* bytes of the value so far: its text, and a struct for each item */
	size_t bulk_len; /* of the bulk whose header was read */
	char bulk_type;  /* 0: none */
	bool is_broken;
};

enum token { TOKEN_MORE, TOKEN_BAD, TOKEN_VALUE, TOKEN_OPEN, TOKEN_ATTRIBUTE };

struct resp_reader *
resp_reader_new(size_t max_bytes, size_t max_depth)
{
	struct resp_reader *r = xcalloc(1, sizeof(*r));

	assert(max_depth > 0 && max_depth <= 1024);
	r->max_bytes = max_bytes;
	r->max_depth = max_depth;
	r->open = xcalloc(max_depth, sizeof(*r->open));
	return r;
}

/* Recurses no deeper than the reader's max_depth. */
static void
free_content(struct resp_value *value)
{
	size_t i;

	for (i = 0; i < value->count; i++)
		free_content(&value->items[i]);
	xfree(value->items);
	xfree((void *)(uintptr_t)value->text.ptr); /* owned here; const for all others */
}

void
resp_value_free(struct resp_value *value)
{
	if (value == NULL)
		return;
	free_content(value);
	xfree(value);
}

static void
drop_value(struct resp_reader *r)
{
	while (r->depth > 0) {
		r->depth--;
		if (r->open[r->depth].is_attribute)
			resp_value_free(r->open[r->depth].value);
	}
	resp_value_free(r->root);
	r->root = NULL;
}

void
resp_reader_free(struct resp_reader *r)
{
	if (r == NULL)
		return;
	drop_value(r);
	buffer_release(&r->in);
	xfree(r->open);
	xfree(r);
}

/* Moves the unread bytes to the front only if they are the smaller part, so that the total work is
 * linear. */
void
resp_reader_feed(struct resp_reader *r, const char *ptr, size_t len)
{
	size_t left = r->in.len - r->at;

	if (r->is_broken)
		return;
	if (r->at > 0 && left <= r->at) {
		if (left > 0)
			memcpy(r->in.ptr, r->in.ptr + r->at, left);
		r->in.len = left;
		r->at = 0;
		buffer_shrink(&r->in, INPUT_KEPT);
	}
	buffer_append(&r->in, ptr, len);
}

static bool
charge(struct resp_reader *r, size_t len)
{
	if (len > r->max_bytes || r->charged > r->max_bytes - len)
		return false;
	r->charged += len;
	return true;
}

static struct slice
copy_text(struct slice s)
{
	char *text = xmalloc(s.len + 1);

	if (s.len > 0)
		memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	return (struct slice){text, s.len};
}

static bool
parse_int(struct slice s, int64_t *number)
{
	/* The specification allows a leading plus. */
	if (s.len > 1 && s.ptr[0] == '+' && s.ptr[1] != '-')
		s = (struct slice){s.ptr + 1, s.len - 1};
	return slice_to_i64(s, number);
}

static bool
parse_double(struct slice s, double *real)
{
	char text[DOUBLE_BYTES];
	char *end;
	size_t i;

	if (s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	/* strtod accepts more than RESP3 allows: blanks, hexadecimal, "infinity", "nan(...)". */
	if (!slice_is_nocase(s, "inf") && !slice_is_nocase(s, "-inf") &&
	    !slice_is_nocase(s, "nan") && !slice_is_nocase(s, "-nan")) {
		for (i = 0; i < s.len; i++)
			if (strchr("0123456789+-.eE", text[i]) == NULL || text[i] == '\0')
				return false;
	}
	*real = strtod(text, &end);
	return end == text + s.len;
}

static bool
is_bignum(struct slice s)
{
	size_t i = s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;

	if (i == s.len)
		return false;
	for (; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return true;
}

/* Reads a value that is one line. */
static enum token
read_scalar(struct resp_reader *r, char type, struct slice line, struct resp_value *value)
{
	bool is_good = true;

	switch (type) {
	case '+':
		value->type = RESP_TYPE_SIMPLE;
		break;
	case '-':
		value->type = RESP_TYPE_ERROR;
		break;
	case ':':
		value->type = RESP_TYPE_INT;
		is_good = parse_int(line, &value->number);
		break;
	case ',':
		value->type = RESP_TYPE_DOUBLE;
		is_good = parse_double(line, &value->real);
		break;
	case '#':
		value->type = RESP_TYPE_BOOL;
		value->number = slice_is(line, "t");
		is_good = value->number || slice_is(line, "f");
		break;
	case '(':
		value->type = RESP_TYPE_BIGNUM;
		is_good = is_bignum(line);
		break;
	case '_':
		value->type = RESP_TYPE_NULL;
		is_good = line.len == 0;
		break;
	default:
		is_good = false;
	}
	if (!is_good || !charge(r, line.len))
		return TOKEN_BAD;
	if (type != ':' && type != '#' && type != '_')
		value->text = copy_text(line);
	return TOKEN_VALUE;
}

/* Reads the header of an aggregate; *wanted is the number of its items. */
static enum token
read_aggregate(
    struct resp_reader *r, char type, int64_t announced, struct resp_value *value, size_t *wanted)
{
	size_t most = (r->max_bytes - r->charged) / sizeof(*value);
	size_t count = (size_t)announced;

	if (announced < 0 || count > most || r->depth == r->max_depth)
		return TOKEN_BAD;
	switch (type) {
	case '*':
		value->type = RESP_TYPE_ARRAY;
		break;
	case '~':
		value->type = RESP_TYPE_SET;
		break;
	case '>':
		value->type = RESP_TYPE_PUSH;
		break;
	default: /* '%' and '|' */
		value->type = RESP_TYPE_MAP;
		count *= 2;
	}
	if (count > most)
		return TOKEN_BAD;
	*wanted = count;
	return type == '|' ? TOKEN_ATTRIBUTE : TOKEN_OPEN;
}

/* Reads the bytes of a bulk whose header was read. */
static enum token
read_bulk(struct resp_reader *r, struct resp_value *value)
{
	struct slice text = {r->in.ptr + r->at, r->bulk_len};
	char type = r->bulk_type;

	if (r->in.len - r->at < r->bulk_len + 2)
		return TOKEN_MORE;
	if (memcmp(text.ptr + text.len, "\r\n", 2) != 0)
		return TOKEN_BAD;
	r->at += r->bulk_len + 2;
	r->bulk_type = 0;
	value->type = type == '!' ? RESP_TYPE_ERROR : RESP_TYPE_BULK;
	if (type == '=') {
		if (text.len < 4 || text.ptr[3] != ':')
			return TOKEN_BAD;
		value->type = RESP_TYPE_VERBATIM;
		text = (struct slice){text.ptr + 4, text.len - 4};
	}
	value->text = copy_text(text);
	return TOKEN_VALUE;
}

/* Reads the line at r->at, without its type byte and CR LF. */
static enum token
read_line(struct resp_reader *r, char *type, struct slice *line)
{
	const char *start = r->in.ptr + r->at;
	size_t there = r->in.len - r->at;
	const char *cr =
	    there > r->scanned ? memchr(start + r->scanned, '\r', there - r->scanned) : NULL;
	size_t len = cr != NULL ? (size_t)(cr - start) : there;

	r->scanned = len;
	if (len > r->max_bytes)
		return TOKEN_BAD;
	if (len + 2 > there)
		return TOKEN_MORE;
	if (len == 0 || cr == NULL || cr[1] != '\n')
		return TOKEN_BAD;
	*type = *start;
	*line = (struct slice){start + 1, len - 1};
	r->at += len + 2;
	r->scanned = 0;
	return TOKEN_VALUE;
}

static enum token
read_token(struct resp_reader *r, struct resp_value *value, size_t *wanted)
{
	struct slice line;
	enum token token;
	int64_t number;
	char type;

	if (r->at == r->in.len)
		return TOKEN_MORE;
	if (r->bulk_type != 0)
		return read_bulk(r, value);
	token = read_line(r, &type, &line);
	if (token != TOKEN_VALUE)
		return token;
	if (type == '\0' || strchr("*%~>|$=!", type) == NULL)
		return read_scalar(r, type, line, value);
	if (!slice_to_i64(line, &number))
		return TOKEN_BAD;
	if (number == -1 && (type == '$' || type == '*')) {
		value->type = RESP_TYPE_NULL;
		return TOKEN_VALUE;
	}
	if (type != '$' && type != '=' && type != '!')
		return read_aggregate(r, type, number, value, wanted);
	if (number < 0 || !charge(r, (size_t)number))
		return TOKEN_BAD;
	r->bulk_len = (size_t)number;
	r->bulk_type = type;
	return read_bulk(r, value);
}

/* Adds the value to the innermost open aggregate, or makes it the root. */
static struct resp_value *
place(struct resp_reader *r, const struct resp_value *value)
{
	struct open_value *top = r->depth > 0 ? &r->open[r->depth - 1] : NULL;

	if (top == NULL) {
		r->root = xmemdup(value, sizeof(*value));
		return r->root;
	}
	if (top->value->count == top->cap) {
		size_t cap = top->cap > 0 ? top->cap * 2 : 4;

		top->cap = cap < top->wanted ? cap : top->wanted;
		top->value->items = xrealloc(top->value->items, top->cap * sizeof(*value));
	}
	top->value->items[top->value->count] = *value;
	return &top->value->items[top->value->count++];
}

static void
open_value(struct resp_reader *r, struct resp_value *value, size_t wanted, bool is_attribute)
{
	r->open[r->depth++] =
	    (struct open_value){.value = value, .wanted = wanted, .is_attribute = is_attribute};
}

/* Closes complete aggregates. True if the whole value is complete. */
static bool
close_values(struct resp_reader *r)
{
	while (r->depth > 0) {
		struct open_value *top = &r->open[r->depth - 1];

		if (top->value->count < top->wanted)
			return false;
		r->depth--;
		if (top->is_attribute) {
			/* An attribute precedes a value, which follows. */
			resp_value_free(top->value);
			return false;
		}
	}
	return r->root != NULL;
}

static int
fail(struct resp_reader *r, struct resp_value *value)
{
	free_content(value);
	drop_value(r);
	buffer_release(&r->in);
	r->at = 0;
	r->is_broken = true;
	return -1;
}

int
resp_reader_next(struct resp_reader *r, struct resp_value **out)
{
	while (!r->is_broken) {
		struct resp_value value = {0};
		size_t wanted = 0;
		enum token token = read_token(r, &value, &wanted);

		if (token == TOKEN_MORE)
			return 0;
		if (token == TOKEN_BAD || !charge(r, sizeof(value)))
			return fail(r, &value);
		if (token == TOKEN_ATTRIBUTE)
			open_value(r, xmemdup(&value, sizeof(value)), wanted, true);
		else if (token == TOKEN_OPEN)
			open_value(r, place(r, &value), wanted, false);
		else
			place(r, &value);
		if (close_values(r)) {
			*out = r->root;
			r->root = NULL;
			r->charged = 0;
			return 1;
		}
	}
	return -1;
}
