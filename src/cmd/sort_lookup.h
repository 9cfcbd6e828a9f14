#ifndef CMD_SORT_LOOKUP_H
#define CMD_SORT_LOOKUP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/request.h"

/*
 * What BY and GET of SORT name: "weight_*" is the string whose name has the element in place of the
 * first `*`; "object_*->price" the field of that hash; "#" the element itself.
 */
struct sort_pattern {
	struct slice before, after; /* of the key's name */
	struct slice field;         /* empty: the key is a string */
	bool is_element;            /* # */
	bool is_constant;           /* no *: nothing is looked up */
};

struct sort_pattern sort_pattern_of(struct slice text); /* borrows */

/* False if there is no such string or field. The value is borrowed, until its key changes. name is
 * room for the key's name. */
bool sort_lookup(struct request *rq, const struct sort_pattern *pattern, struct slice element,
    struct buffer *name, struct slice *value);

#endif
