#include "config.h"

#include "base/glob.h"

#include <string.h>

/*
 * One member of a class, as a range of signed chars. Redis compares them as signed on the machines
 * it runs on, so bytes from 0x80 on sort before all others.
 */
struct member {
	int first;
	int last;
	bool escaped; /* compared exactly, even if case is folded */
};

static int
fold(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static int
signed_at(struct slice s, size_t at)
{
	return (signed char)s.ptr[at];
}

static struct slice
rest_of(struct slice s, size_t from)
{
	return (struct slice){s.ptr + from, s.len - from};
}

/* Length of "[" or "[^". */
static size_t
open_class(struct slice pattern, bool *negated)
{
	*negated = pattern.len > 1 && pattern.ptr[1] == '^';
	return *negated ? 2 : 1;
}

/* Length of the member that rest starts with; 0 if the class ends here, by "]" or with the pattern.
 */
static size_t
next_member(struct slice rest, struct member *member)
{
	if (rest.len >= 2 && rest.ptr[0] == '\\') {
		member->first = member->last = signed_at(rest, 1);
		member->escaped = true;
		return 2;
	}
	if (rest.len == 0 || rest.ptr[0] == ']')
		return 0;
	member->escaped = false;
	member->first = member->last = signed_at(rest, 0);
	if (rest.len < 3 || rest.ptr[1] != '-')
		return 1;
	if (signed_at(rest, 2) < member->first)
		member->first = signed_at(rest, 2);
	else
		member->last = signed_at(rest, 2);
	return 3;
}

static size_t
close_class(struct slice pattern, size_t at)
{
	return at < pattern.len ? at + 1 : at;
}

/* Sets the bits from first to last in a 256-bit set. */
static void
set_fill(uint64_t set[4], int first, int last)
{
	for (int w = first / 64; w <= last / 64; w++) {
		int from = first > w * 64 ? first - w * 64 : 0;
		int to = last < w * 64 + 63 ? last - w * 64 : 63;

		set[w] |= (UINT64_MAX << from) & (UINT64_MAX >> (63 - to));
	}
}

static size_t
read_class(struct slice pattern, uint64_t set[4])
{
	bool negated;
	size_t at = open_class(pattern, &negated), len;
	struct member m;

	memset(set, 0, 4 * sizeof(*set));
	while ((len = next_member(rest_of(pattern, at), &m)) > 0) {
		if (m.first < 0)
			set_fill(set, m.first + 256, (m.last < 0 ? m.last : -1) + 256);
		if (m.last >= 0)
			set_fill(set, m.first > 0 ? m.first : 0, m.last);
		at += len;
	}
	for (int w = 0; negated && w < 4; w++)
		set[w] = ~set[w];
	return close_class(pattern, at);
}

/* Length of a literal byte: with the backslash before it, unless that is the last byte. */
static size_t
literal_len(struct slice pattern)
{
	return pattern.ptr[0] == '\\' && pattern.len >= 2 ? 2 : 1;
}

size_t
glob_next(struct slice pattern, struct glob_token *token)
{
	size_t len;

	switch (pattern.ptr[0]) {
	case '*':
		token->kind = GLOB_STAR;
		return 1;
	case '?':
		token->kind = GLOB_ANY;
		return 1;
	case '[':
		token->kind = GLOB_CLASS;
		return read_class(pattern, token->set);
	default:
		len = literal_len(pattern);
		token->kind = GLOB_LITERAL;
		token->literal = (unsigned char)pattern.ptr[len - 1];
		return len;
	}
}

bool
glob_is_wild(struct slice pattern)
{
	for (size_t at = 0; at < pattern.len; at++) {
		if (memchr("*?[", pattern.ptr[at], 3) != NULL)
			return true;
		if (pattern.ptr[at] == '\\')
			at++;
	}
	return false;
}

/*
 * Whether c is in the class that pattern starts with. Reads the text of the class instead of a set,
 * because folding case is not a property of the set: Redis folds the ends of a range after it has
 * put them in order ("[Z-a]" is then empty), and never folds an escaped member.
 */
static bool
class_has(struct slice pattern, int c, bool nocase, size_t *class_len)
{
	bool negated, has = false;
	size_t at = open_class(pattern, &negated), len;
	struct member m;

	while ((len = next_member(rest_of(pattern, at), &m)) > 0) {
		if (nocase && !m.escaped)
			has |= fold(c) >= fold(m.first) && fold(c) <= fold(m.last);
		else
			has |= c >= m.first && c <= m.last;
		at += len;
	}
	*class_len = close_class(pattern, at);
	return has != negated;
}

/* Whether the one-byte token that pattern starts with matches c; *len is the token's length. */
static bool
byte_matches(struct slice pattern, int c, bool nocase, size_t *len)
{
	if (pattern.ptr[0] == '[')
		return class_has(pattern, c, nocase, len);
	if (pattern.ptr[0] == '?') {
		*len = 1;
		return true;
	}
	*len = literal_len(pattern);
	int literal = signed_at(pattern, *len - 1);

	return nocase ? fold(literal) == fold(c) : literal == c;
}

/*
 * On a mismatch it is enough to go back to the last star: whatever an earlier star could match in
 * addition, the last one can match as well.
 */
bool
glob_match(struct slice pattern, struct slice text, bool nocase)
{
	size_t p = 0, t = 0, len;
	size_t after_star = 0, star_end = 0; /* after_star is 0 before the first star */

	if (text.len == 0)
		return pattern.len == 0;
	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			after_star = ++p;
			star_end = t;
		} else if (p < pattern.len &&
			   byte_matches(rest_of(pattern, p), signed_at(text, t), nocase, &len)) {
			p += len;
			t++;
		} else if (after_star == 0 || after_star == pattern.len) {
			return after_star != 0;
		} else {
			p = after_star;
			t = ++star_end;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}
