#ifndef CMD_DIFFERENCE_H
#define CMD_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How SDIFF and ZDIFF get their result: by looking each member of the first set up in the others,
 * or by removing the members of the others from a copy of the first. True if the look-ups are less
 * work. A look-up may end early, at the first set that has the member, so it counts half.
 *
 * first_count: members of the first set; all_count: members of all `sets` sets, the first included.
 */
static inline bool
difference_is_by_look_up(size_t first_count, size_t all_count, size_t sets)
{
	return first_count / 2 <= all_count / sets;
}

#endif
