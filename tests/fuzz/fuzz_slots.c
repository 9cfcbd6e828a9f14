#include "config.h"

#include "link/slots.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "resp/reply.h"

/*
 * Replies to CLUSTER SLOTS. The map of a reply that is accepted is within its limits, its counts
 * are right, and it does not depend on what was read before. It is the same when it is written as
 * a reply and read again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ASKED_HOST "asked.example.org"

static struct resp_value *
parse(struct slice bytes)
{
	struct resp_reader *reader = resp_reader_new(1 << 22, 8);
	struct resp_value *value = NULL;

	resp_reader_feed(reader, bytes.ptr, bytes.len);
	if (resp_reader_next(reader, &value) <= 0)
		value = NULL;
	resp_reader_free(reader);
	return value;
}

static void
check_host(const struct slot_master *master)
{
	size_t len = strnlen(master->host, sizeof(master->host));

	assert(len > 0 && len <= SLOT_HOST_MAX && master->port > 0);
	assert(strspn(master->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._:%") == len);
}

static void
check_master(const struct slot_map *map, size_t i)
{
	const struct slot_master *master = &map->masters[i];
	size_t count = 0, first = SLOT_UNSERVED;

	check_host(master);
	for (size_t j = 0; j < i; j++)
		assert(map->masters[j].port != master->port ||
		       strcmp(map->masters[j].host, master->host) != 0);
	for (size_t slot = SLOTS; slot-- > 0;)
		if (map->served_by[slot] == i) {
			count++;
			first = slot;
		}
	assert(count > 0 && count == master->slots && first == master->first);
}

static void
check_map(const struct slot_map *map)
{
	size_t served = 0;

	assert(map->count <= SLOT_MASTERS_MAX && map->served <= SLOTS);
	for (size_t slot = 0; slot < SLOTS; slot++) {
		assert(map->served_by[slot] == SLOT_UNSERVED || map->served_by[slot] < map->count);
		served += map->served_by[slot] != SLOT_UNSERVED;
	}
	assert(served == map->served);
	for (size_t i = 0; i < map->count; i++)
		check_master(map, i);
}

static size_t
end_of_range(const struct slot_map *map, size_t slot)
{
	uint16_t at = map->served_by[slot];

	while (slot < SLOTS && map->served_by[slot] == at)
		slot++;
	return slot;
}

static void
write_map(const struct slot_map *map, struct buffer *out)
{
	struct buffer items = {0};
	size_t count = 0, end;

	for (size_t slot = 0; slot < SLOTS; slot = end) {
		uint16_t at = map->served_by[slot];
		const struct slot_master *master = &map->masters[at < map->count ? at : 0];

		end = end_of_range(map, slot);
		if (at == SLOT_UNSERVED)
			continue;
		count++;
		buffer_appendf(&items, "*3\r\n:%zu\r\n:%zu\r\n*2\r\n$%zu\r\n%s\r\n:%u\r\n", slot,
		    end - 1, strlen(master->host), master->host, (unsigned)master->port);
	}
	buffer_appendf(out, "*%zu\r\n", count);
	buffer_append_slice(out, buffer_slice(&items));
	buffer_release(&items);
}

static void
check_same(const struct slot_map *a, const struct slot_map *b)
{
	assert(a->count == b->count && a->served == b->served);
	for (size_t slot = 0; slot < SLOTS; slot++) {
		const struct slot_master *x, *y;

		assert(
		    (a->served_by[slot] == SLOT_UNSERVED) == (b->served_by[slot] == SLOT_UNSERVED));
		if (a->served_by[slot] == SLOT_UNSERVED)
			continue;
		x = &a->masters[a->served_by[slot]];
		y = &b->masters[b->served_by[slot]];
		assert(strcmp(x->host, y->host) == 0 && x->port == y->port);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct resp_value *reply = parse((struct slice){(const char *)data, len}), *again;
	struct slot_map *map, *other;
	struct buffer text = {0};

	if (reply == NULL)
		return 0;
	map = xmalloc(sizeof(*map));
	memset(map, 0x55, sizeof(*map));
	if (slot_map_read(map, reply, ASKED_HOST) == NULL) {
		check_map(map);
		write_map(map, &text);
		other = xmalloc(sizeof(*other));
		memset(other, 0xaa, sizeof(*other));
		again = parse(buffer_slice(&text));
		assert(again != NULL && slot_map_read(other, again, "") == NULL);
		check_map(other);
		check_same(map, other);
		resp_value_free(again);
		xfree(other);
	}
	xfree(map);
	resp_value_free(reply);
	buffer_release(&text);
	return 0;
}
