#ifndef CMD_DIFFERENCE_H
#define CMD_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Chooses between the two ways to compute SDIFF and ZDIFF: look up each member of the first set in
 * the others, or remove the members of the others from a copy of the first. True if the look-ups
 * are less work. A look-up may stop early, at the first set that has the member, so it counts half.
 *
 * first_count: members of the first set; all_count: members of all `sets` sets, the first included.
 */
static inline bool
difference_is_by_look_up(size_t first_count, size_t all_count, size_t sets)
{
	return first_count / 2 <= all_count / sets;
}

#endif
