#ifndef CMD_SORT_LOOKUP_H
#define CMD_SORT_LOOKUP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/request.h"

/*
 * Patterns of BY and GET of SORT. The element replaces the first `*`: "weight_*" is the string of
 * that name; "object_*->price" is the field price of that hash. "#" is the element itself.
 */
struct sort_pattern {
	struct slice before, after; /* of the key's name */
	struct slice field;         /* empty: the key is a string */
	bool is_element;            /* # */
	bool is_constant;           /* no *: there is no look-up */
};

struct sort_pattern sort_pattern_of(struct slice text); /* borrows */

/*
 * False if there is no such string or field. Borrows the value, until its key changes. name is a
 * buffer for the key's name.
 */
bool sort_lookup(struct request *rq, const struct sort_pattern *pattern, struct slice element,
    struct buffer *name, struct slice *value);

#endif
