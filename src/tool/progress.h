#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A line on standard error that says how far a long work is. It is shown on a terminal only, at
 * most ten times a second.
 */
struct progress {
	bool is_terminal, is_shown;
	uint64_t next_us;
};

void progress_init(struct progress *progress);
void progress_show(struct progress *progress, const char *work, uint64_t done, uint64_t all);
void progress_end(struct progress *progress); /* removes the line, so that others can be printed */

#endif
