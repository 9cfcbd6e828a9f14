#ifndef BASE_TESTING_GLOB_H
#define BASE_TESTING_GLOB_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Redis's stringmatchlen, written a second time as plainly as possible, for tests to compare with.
 * It is recursive and takes exponential time: for short strings only.
 */
static inline int
testing_fold(int c, bool nocase)
{
	return nocase && c >= 0 ? tolower(c) : c;
}

/* p points to the byte after the "[". Returns whether c is in the class; *end is set to the byte
 * after the class. */
static inline bool
testing_class(const char *p, const char *p_end, char c, bool nocase, const char **end)
{
	bool negated = p < p_end && *p == '^', found = false;
	int folded = testing_fold((signed char)c, nocase);

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
			found = found || (testing_fold(from, nocase) <= folded &&
					     folded <= testing_fold(to, nocase));
			p += 3;
		} else {
			found = found || testing_fold((signed char)p[0], nocase) == folded;
			p++;
		}
	}
}

static inline bool
testing_rest(const char *p, const char *p_end, const char *t, const char *t_end, bool nocase)
{
	if (p == p_end)
		return t == t_end;
	if (*p == '*')
		return testing_rest(p + 1, p_end, t, t_end, nocase) ||
		       (t < t_end && testing_rest(p, p_end, t + 1, t_end, nocase));
	if (t == t_end)
		return false;
	if (*p == '?')
		return testing_rest(p + 1, p_end, t + 1, t_end, nocase);
	if (*p == '[') {
		const char *next;

		return testing_class(p + 1, p_end, *t, nocase, &next) &&
		       testing_rest(next, p_end, t + 1, t_end, nocase);
	}
	if (*p == '\\' && p_end - p >= 2)
		p++;
	return testing_fold((signed char)*p, nocase) == testing_fold((signed char)*t, nocase) &&
	       testing_rest(p + 1, p_end, t + 1, t_end, nocase);
}

static inline bool
testing_glob(struct slice pattern, struct slice text, bool nocase)
{
	if (text.len == 0)
		return pattern.len == 0;
	return testing_rest(
	    pattern.ptr, pattern.ptr + pattern.len, text.ptr, text.ptr + text.len, nocase);
}

#endif
