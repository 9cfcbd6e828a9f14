#include "config.h"

#include "link/globs_frame.h"

#include <assert.h>

#include "link/globs_known.h"

/*
 * What strangers may publish to the channels of a cluster's nodes. The first byte says whether the
 * rest is a copy or an announcement. An announcement that is accepted is within its bounds, is
 * written in the same way again, and can be remembered and forgotten.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_copy(struct slice text)
{
	struct slice channel, payload;
	struct buffer again = {0};

	if (!globs_read_copy(text, &channel, &payload))
		return;
	globs_put_copy(&again, channel, payload);
	assert(slice_eq(buffer_slice(&again), text));
	buffer_release(&again);
}

static void
check_announcement(struct slice text)
{
	struct globs_known *known;
	struct globs_frame frame;
	struct buffer again = {0};
	struct slice globs, glob, ids[GLOBS_NODES_MAX];
	size_t count = 0, bytes = 0;

	if (!globs_frame_read(text, &frame))
		return;
	globs_frame_write(&again, &frame);
	assert(slice_eq(buffer_slice(&again), text));
	buffer_release(&again);
	assert(frame.id.len > 0 && frame.id.len <= GLOBS_ID_MAX);
	for (globs = frame.globs; globs_next(&globs, &glob); count++)
		bytes += glob.len;
	assert(count == frame.count && count <= GLOBS_MAX && bytes <= GLOBS_BYTES_MAX);
	known = globs_known_new();
	assert(globs_known_set(known, frame.id, frame.globs, frame.count, 10, 0));
	assert(globs_known_nodes(known) == (count > 0));
	assert(globs_known_match(known, frame.id, ids) <= 1);
	globs_known_expire(known, 10);
	assert(globs_known_nodes(known) == 0 && globs_known_match(known, frame.id, ids) == 0);
	globs_known_free(known);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text;

	if (len == 0)
		return 0;
	text = (struct slice){(const char *)data + 1, len - 1};
	if (data[0] == 'c')
		check_copy(text);
	else
		check_announcement(text);
	return 0;
}
