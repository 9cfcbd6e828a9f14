#include "config.h"

#include "cmd/long_reply.h"

#include "base/buffer.h"
#include "server/client.h"
#include "server/job.h"

#define PIECE_BYTES ((size_t)256 << 10)

void
long_reply_release(struct long_reply *reply)
{
	buffer_release(&reply->bytes);
}

enum job_state
long_reply_send(struct long_reply *reply, struct job_step *step)
{
	size_t len = reply->bytes.len - reply->sent;

	if (len > PIECE_BYTES && !client_is_pushed_to(step->client))
		len = PIECE_BYTES;
	if (len > 0)
		buffer_append(step->reply, reply->bytes.ptr + reply->sent, len);
	reply->sent += len;
	return reply->sent < reply->bytes.len ? JOB_MORE : JOB_DONE;
}
