#ifndef CMD_STREAM_ARGS_H
#define CMD_STREAM_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/stream.h"
#include "kv/stream_id.h"
#include "server/request.h"

/*
 * Arguments of the commands of streams. Unless it says otherwise, each function returns false after
 * replying with Redis's error if the argument is invalid.
 */

/* An id: MS or MS-SEQ. seq stands for a SEQ that is not given. Does not reply. */
bool stream_id_parse(struct slice arg, uint64_t seq, struct stream_id *id)
    __attribute__((warn_unused_result));

bool stream_args_id(struct request *rq, struct slice arg, struct stream_id *id)
    __attribute__((warn_unused_result));

/* The ids from argument `from` to the last. Returns owned (xfree); NULL after an error. */
struct stream_id *stream_args_ids(struct request *rq, size_t from)
    __attribute__((warn_unused_result));

/* The same, or one of the ends of all ids: - and +. */
bool stream_args_id_or_end(struct request *rq, struct slice arg, struct stream_id *id)
    __attribute__((warn_unused_result));

/* The ends of a range: - and +, an id, or (id, which is not part of it. The range that is returned
 * includes both ends. */
bool stream_args_start(struct request *rq, struct slice arg, struct stream_id *id)
    __attribute__((warn_unused_result));
bool stream_args_end(struct request *rq, struct slice arg, struct stream_id *id)
    __attribute__((warn_unused_result));

/* The id of XADD. */
struct stream_new_id {
	enum { STREAM_ID_AUTO, STREAM_ID_AUTO_SEQ, STREAM_ID_GIVEN } kind;
	struct stream_id id;
};

/* The arguments of XADD up to its id, and of XTRIM. */
struct stream_trim_args {
	struct stream_trim trim;
	bool no_new_key; /* NOMKSTREAM */
	struct stream_new_id new_id;
	size_t id_at; /* the argument that is the id; only of XADD */
};

bool stream_args_trim(struct request *rq, bool is_add, struct stream_trim_args *args)
    __attribute__((warn_unused_result));

#endif
