#ifndef LINK_TESTING_WRONG_H
#define LINK_TESTING_WRONG_H

#include <stddef.h>

#include "base/bytes.h"

/* For tests: replies that an upstream should not send, and what they can be. Each but DROPS is good
 * enough in some places. */
enum wrong {
	DROPS,
	ERROR,
	NUMBER,
	TEXT,
	MAP,
	NOTHING, /* a push that is passed over */
	JOINS,   /* the confirmation of another channel */
};

struct wrong_reply {
	enum wrong what;
	struct slice bytes;
};

extern const struct wrong_reply wrong_replies[];
extern const size_t wrong_replies_count;

/* Of the scripts of presence, besides these. */
extern const struct wrong_reply wrong_presence_replies[];
extern const size_t wrong_presence_replies_count;

#endif
