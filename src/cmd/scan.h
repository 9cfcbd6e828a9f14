#ifndef CMD_SCAN_H
#define CMD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/request.h"

/*
 * Scan: what SCAN, HSCAN, SSCAN and ZSCAN share: the cursor, the options and the reply.
 *
 *	if (!scan_cursor(rq, 2, &scan))
 *		return COMMAND_DONE;
 *	... look up the key; if it does not exist: scan_reply_empty(rq)
 *	if (scan_options(rq, 3, false, &scan))
 *		scan_run(rq, &scan, step, value);
 *
 * Here, step calls kv_set_scan or a similar function with a visitor that calls scan_see for each
 * element, and scan_put for each one to be returned. (Redis checks the cursor, then the key, then
 * the options.)
 */
struct scan {
	uint64_t cursor;
	uint64_t count;       /* COUNT, at least 1 */
	struct slice pattern; /* MATCH, if is_filtered */
	struct slice type;    /* TYPE, if is_typed */
	bool is_filtered;
	bool is_typed;
	uint64_t seen;       /* elements seen so far, matching or not */
	struct buffer found; /* the matching ones, as bulk strings */
	size_t found_count;
};

/* Reads the cursor from argument `at`. Returns false after replying with an error. */
bool scan_cursor(struct request *rq, size_t at, struct scan *scan)
    __attribute__((warn_unused_result));

/*
 * Reads the options from argument `first` on; TYPE is accepted only if with_type. Returns false
 * after replying with an error.
 */
bool scan_options(struct request *rq, size_t first, bool with_type, struct scan *scan)
    __attribute__((warn_unused_result));

/*
 * The longest pattern that contains a star: matching takes time in proportion to the product of the
 * lengths of pattern and name, so a long pattern would block the daemon for seconds.
 */
#define SCAN_PATTERN_MAX 1024

/* Returns false after replying with an error if the pattern is too long. */
bool scan_pattern_fits(struct request *rq, struct slice pattern)
    __attribute__((warn_unused_result));

/* The reply if there is nothing to scan. */
void scan_reply_empty(struct request *rq);

/*
 * For the visitor: counts an element (a field with its value counts as two for COUNT). True if its
 * name matches.
 */
bool scan_see(struct scan *scan, struct slice name, size_t elements);
void scan_put(struct scan *scan, struct slice element);

/* Visits some elements from cursor on and returns the next cursor. */
typedef uint64_t scan_step(const void *target, uint64_t cursor, struct scan *scan);

/* Steps until COUNT elements were seen, and replies. */
void scan_run(struct request *rq, struct scan *scan, scan_step *step, const void *target);

#endif
