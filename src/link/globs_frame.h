#ifndef LINK_GLOBS_FRAME_H
#define LINK_GLOBS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Globs frame: what nodes of a cluster tell each other about the patterns of their subscribers, and
 * the payload of a copy that a node gets because of a pattern. They come through channels to which
 * others may publish as well: what is not written exactly as here is refused.
 *
 *	fanfare-globs 1 <kind> <id> <nonce> <wanted> <missed> <lease> <count> <length>:<glob>...
 */
#define GLOBS_MAX 256         /* of a set */
#define GLOBS_BYTES_MAX 16384 /* of them together */
#define GLOBS_ID_MAX 64       /* bytes of a node's id, which has letters and digits only */
#define GLOBS_LEASE_MAX_MS ((uint64_t)86400000)

enum globs_frame_kind {
	GLOBS_SET, /* to all nodes: the globs of the sender */
	GLOBS_ACK, /* to the sender of a set: the receiver knows it */
};

/* What the sender of a set wants from each receiver. */
enum globs_wanted {
	GLOBS_NO_ACK,
	GLOBS_BARE_ACK,     /* without globs */
	GLOBS_ACK_WITH_SET, /* with those of the receiver */
};

struct globs_frame {
	enum globs_frame_kind kind;
	struct slice id; /* of the sender */
	uint64_t nonce;  /* of a set; an acknowledgement repeats it */
	enum globs_wanted wanted;
	bool has_missed;   /* the sender has published without knowing all globs */
	uint64_t lease_ms; /* so long the set holds */
	bool has_set;      /* an acknowledgement may have none */
	size_t count;
	struct slice globs; /* each with its length in front: see globs_next() */
};

void globs_frame_write(struct buffer *out, const struct globs_frame *frame);

/* False: it is none, or one of a later version. Borrows text. */
bool globs_frame_read(struct slice text, struct globs_frame *frame)
    __attribute__((warn_unused_result));

/* The globs of a set. globs_next() takes the first one; false: there is none. */
void globs_put(struct buffer *globs, struct slice glob);
bool globs_next(struct slice *globs, struct slice *glob) __attribute__((warn_unused_result));

/* The payload of a copy: the channel with its length in front, and the message. */
void globs_put_copy(struct buffer *out, struct slice channel, struct slice payload);
bool globs_read_copy(struct slice copy, struct slice *channel, struct slice *payload)
    __attribute__((warn_unused_result));

#endif
