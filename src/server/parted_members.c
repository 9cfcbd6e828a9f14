#include "config.h"

#include "server/parted_members.h"

#include <stdlib.h>

#include "resp/writer.h"

#define HEAD "*3\r\n$15\r\nFANFARED.PARTED\r\n"

void
parted_members_put(struct buffer *out, struct slice channel, struct slice member)
{
	buffer_append_str(out, HEAD);
	resp_put_bulk(out, channel);
	resp_put_bulk(out, member);
}

/* Behind the bulk string at text. */
static const char *
behind_bulk(const char *text)
{
	char *end;
	size_t len = strtoul(text + 1, &end, 10);

	return end + 2 + len + 2;
}

struct slice
parted_members_part(struct slice commands, size_t most)
{
	const char *at = commands.ptr;

	while ((size_t)(at - commands.ptr) < commands.len && (size_t)(at - commands.ptr) < most)
		at = behind_bulk(behind_bulk(at + sizeof(HEAD) - 1));
	return (struct slice){commands.ptr, (size_t)(at - commands.ptr)};
}

bool
parted_members_read(
    const struct slice *argv, size_t argc, struct slice *channel, struct slice *member)
{
	if (argc != 3 || !slice_is(argv[0], "FANFARED.PARTED"))
		return false;
	*channel = argv[1];
	*member = argv[2];
	return true;
}
