#ifndef TESTS_NAIVE_GLOB_H
#define TESTS_NAIVE_GLOB_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Redis's stringmatchlen, written once more from its rules and as plainly as possible, for tests to
 * compare with. It is recursive and takes exponential time: for short strings only.
 */
static int
naive_fold(int c, bool nocase)
{
	return nocase && c >= 0 ? tolower(c) : c;
}

/* p is behind the "[". Whether the class has c; *end is where the pattern goes on. */
static bool
naive_class(const char *p, const char *p_end, char c, bool nocase, const char **end)
{
	bool negated = p < p_end && *p == '^', found = false;
	int folded = naive_fold((signed char)c, nocase);

	if (negated)
		p++;
	for (;;) {
		if (p_end - p >= 2 && p[0] == '\\') {
			found = found || p[1] == c;
			p += 2;
		} else if (p == p_end) {
			*end = p;
			return found != negated;
		} else if (p[0] == ']') {
			*end = p + 1;
			return found != negated;
		} else if (p_end - p >= 3 && p[1] == '-') {
			int from = (signed char)p[0], to = (signed char)p[2];

			if (from > to) {
				from = (signed char)p[2];
				to = (signed char)p[0];
			}
			found = found ||
			    (naive_fold(from, nocase) <= folded && folded <= naive_fold(to, nocase));
			p += 3;
		} else {
			found = found || naive_fold((signed char)p[0], nocase) == folded;
			p++;
		}
	}
}

static bool
naive_rest(const char *p, const char *p_end, const char *t, const char *t_end, bool nocase)
{
	if (p == p_end)
		return t == t_end;
	if (*p == '*')
		return naive_rest(p + 1, p_end, t, t_end, nocase) ||
		    (t < t_end && naive_rest(p, p_end, t + 1, t_end, nocase));
	if (t == t_end)
		return false;
	if (*p == '?')
		return naive_rest(p + 1, p_end, t + 1, t_end, nocase);
	if (*p == '[') {
		const char *next;

		return naive_class(p + 1, p_end, *t, nocase, &next) &&
		    naive_rest(next, p_end, t + 1, t_end, nocase);
	}
	if (*p == '\\' && p_end - p >= 2)
		p++;
	return naive_fold((signed char)*p, nocase) == naive_fold((signed char)*t, nocase) &&
	    naive_rest(p + 1, p_end, t + 1, t_end, nocase);
}

static inline bool
naive_glob(struct slice pattern, struct slice text, bool nocase)
{
	if (text.len == 0)
		return pattern.len == 0;
	return naive_rest(
	    pattern.ptr, pattern.ptr + pattern.len, text.ptr, text.ptr + text.len, nocase);
}

#endif
