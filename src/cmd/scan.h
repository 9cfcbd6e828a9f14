#ifndef CMD_SCAN_H
#define CMD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/request.h"

/*
 * Scan: what SCAN, HSCAN, SSCAN and ZSCAN have in common: the cursor, the options and the reply.
 *
 *	if (!scan_cursor(rq, 2, &scan))
 *		return COMMAND_DONE;
 *	... look the key up; where there is none: scan_reply_empty(rq)
 *	if (scan_options(rq, 3, false, &scan))
 *		scan_run(rq, &scan, step, value);
 *
 * where step calls kv_set_scan or its like with a visit that calls scan_see, and scan_put for what
 * is wanted. (Redis looks at the cursor, then at the key, then at the options.)
 */
struct scan {
	uint64_t cursor;
	uint64_t count;       /* COUNT, at least 1 */
	struct slice pattern; /* MATCH, if is_filtered */
	struct slice type;    /* TYPE, if is_typed */
	bool is_filtered;
	bool is_typed;
	uint64_t seen;       /* elements so far, wanted or not */
	struct buffer found; /* the wanted ones, as bulk strings */
	size_t found_count;
};

/* Reads the cursor from argument `at`. False: it is none, and answered. */
bool scan_cursor(struct request *rq, size_t at, struct scan *scan)
    __attribute__((warn_unused_result));

/* Reads the options from argument `first` on; TYPE is one only with_type. False: answered. */
bool scan_options(struct request *rq, size_t first, bool with_type, struct scan *scan)
    __attribute__((warn_unused_result));

/* The longest pattern with a star in it: the time that one takes grows with its length times that
 * of each name, so that a long one would hold the daemon for seconds. */
#define SCAN_PATTERN_MAX 1024

/* False: the pattern is too long, and it is answered. */
bool scan_pattern_fits(struct request *rq, struct slice pattern)
    __attribute__((warn_unused_result));

/* The reply where there is nothing to scan. */
void scan_reply_empty(struct request *rq);

/* For the visit: an element is there (a field with its value is two to COUNT). True if its name is
 * wanted. */
bool scan_see(struct scan *scan, struct slice name, size_t elements);
void scan_put(struct scan *scan, struct slice element);

/* Visits some elements from cursor on and returns the next cursor. */
typedef uint64_t scan_step(const void *target, uint64_t cursor, struct scan *scan);

/* Steps until COUNT elements were seen, and replies. */
void scan_run(struct request *rq, struct scan *scan, scan_step *step, const void *target);

#endif
