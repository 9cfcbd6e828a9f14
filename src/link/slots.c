#include "config.h"

#include "link/slots.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resp/reply.h"

/* CRC16 with the polynomial 0x1021 and the initial value 0 (XMODEM), four bits at a time. */
static uint16_t
crc16(struct slice bytes)
{
	static const uint16_t of_half_byte[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
	    0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
	unsigned crc = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned byte = (unsigned char)bytes.ptr[i];

		crc = ((crc << 4) & 0xffff) ^ of_half_byte[(crc >> 12) ^ (byte >> 4)];
		crc = ((crc << 4) & 0xffff) ^ of_half_byte[(crc >> 12) ^ (byte & 15)];
	}
	return (uint16_t)crc;
}

uint16_t
slot_of(struct slice name)
{
	const char *open = name.len > 0 ? memchr(name.ptr, '{', name.len) : NULL;
	const char *close;

	if (open != NULL) {
		open++;
		close = memchr(open, '}', name.len - (size_t)(open - name.ptr));
		if (close != NULL && close > open)
			name = (struct slice){open, (size_t)(close - open)};
	}
	return crc16(name) & (SLOTS - 1);
}

#define NUMBERS_MAX 1000000

/* The slot of the next number, which is that of the slot if it has none. */
static uint16_t
try_number(struct slot_numbers *numbers, const char *prefix)
{
	char name[SLOT_PREFIX_MAX + 16];
	uint32_t number = numbers->tried++;
	int len = snprintf(name, sizeof(name), "%s%" PRIu32, prefix, number);
	uint16_t slot = slot_of((struct slice){name, (size_t)len});

	if (numbers->of[slot] == 0) {
		numbers->of[slot] = number + 1;
		numbers->found++;
	}
	return slot;
}

uint32_t
slot_numbers_find(struct slot_numbers *numbers, const char *prefix,
    bool (*is_one)(const void *arg, uint16_t slot), const void *arg)
{
	for (uint16_t slot = 0; slot < SLOTS; slot++)
		if (numbers->of[slot] != 0 && is_one(arg, slot))
			return numbers->of[slot] - 1;
	while (numbers->tried < NUMBERS_MAX) {
		uint16_t slot = try_number(numbers, prefix);

		if (is_one(arg, slot))
			return numbers->of[slot] - 1;
	}
	return SLOT_NO_NUMBER;
}

bool
slot_numbers_go_on(struct slot_numbers *numbers, const char *prefix, uint32_t tries)
{
	for (; tries > 0 && numbers->found < SLOTS; tries--)
		(void)try_number(numbers, prefix);
	return numbers->found == SLOTS;
}

static bool
is_slot(const void *arg, uint16_t slot)
{
	return slot == *(const uint16_t *)arg;
}

uint32_t
slot_numbers_of(struct slot_numbers *numbers, const char *prefix, uint16_t slot)
{
	return numbers->of[slot] != 0 ? numbers->of[slot] - 1
				      : slot_numbers_find(numbers, prefix, is_slot, &slot);
}

static bool
is_number(const struct resp_value *value, int64_t min, int64_t max)
{
	return value->type == RESP_TYPE_INT && value->number >= min && value->number <= max;
}

/* Hosts get into INFO and the log. */
static bool
is_host(struct slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		unsigned char c = (unsigned char)host.ptr[i], letter = c | 0x20;

		if ((letter < 'a' || letter > 'z') && (c < '0' || c > '9') &&
		    (c == '\0' || strchr("-._:%", c) == NULL))
			return false;
	}
	return true;
}

/* The host of a node; empty: it is not known. False: it is no host. */
static bool
read_host(const struct resp_value *value, const char *asked_host, struct slice *host)
{
	bool is_null = value->type == RESP_TYPE_NULL;

	if (!is_null && value->type != RESP_TYPE_BULK && value->type != RESP_TYPE_SIMPLE)
		return false;
	*host = is_null || value->text.len == 0 ? slice_of(asked_host) : value->text;
	if (slice_is(*host, "?"))
		host->len = 0;
	return host->len <= SLOT_HOST_MAX && (host->ptr == asked_host || is_host(*host));
}

/* Returns SLOT_MASTERS_MAX if there are too many. */
static size_t
find_or_add(struct slot_map *map, struct slice host, uint16_t port)
{
	struct slot_master *master;

	for (size_t i = 0; i < map->count; i++)
		if (map->masters[i].port == port && slice_is(host, map->masters[i].host))
			return i;
	if (map->count == SLOT_MASTERS_MAX)
		return SLOT_MASTERS_MAX;
	master = &map->masters[map->count];
	*master = (struct slot_master){.port = port, .first = SLOT_UNSERVED};
	memcpy(master->host, host.ptr, host.len);
	return map->count++;
}

static const char *
assign(struct slot_map *map, size_t master, size_t first, size_t last)
{
	struct slot_master *m = &map->masters[master];

	for (size_t slot = first; slot <= last; slot++) {
		if (map->served_by[slot] != SLOT_UNSERVED)
			return "CLUSTER SLOTS names two masters of a slot";
		map->served_by[slot] = (uint16_t)master;
	}
	m->slots += last - first + 1;
	map->served += last - first + 1;
	if (first < m->first)
		m->first = (uint16_t)first;
	return NULL;
}

/* An item: the first and last slot, then the nodes that serve them, the master first. */
static const char *
read_range(struct slot_map *map, const struct resp_value *range, const char *asked_host)
{
	const struct resp_value *master;
	struct slice host;
	size_t at;

	if (range->type != RESP_TYPE_ARRAY || range->count < 3 ||
	    !is_number(&range->items[0], 0, SLOTS - 1) ||
	    !is_number(&range->items[1], range->items[0].number, SLOTS - 1))
		return "CLUSTER SLOTS has an item that is not a range of slots";
	master = &range->items[2];
	if (master->type != RESP_TYPE_ARRAY || master->count < 2 ||
	    !read_host(&master->items[0], asked_host, &host) ||
	    !is_number(&master->items[1], 0, UINT16_MAX))
		return "CLUSTER SLOTS has a master without host and port";
	if (host.len == 0 || master->items[1].number == 0)
		return NULL;
	at = find_or_add(map, host, (uint16_t)master->items[1].number);
	if (at == SLOT_MASTERS_MAX)
		return "CLUSTER SLOTS names more than 256 masters";
	return assign(map, at, (size_t)range->items[0].number, (size_t)range->items[1].number);
}

const char *
slot_map_read(struct slot_map *map, const struct resp_value *reply, const char *asked_host)
{
	const char *why = NULL;

	map->count = map->served = 0;
	memset(map->served_by, 0xff, sizeof(map->served_by)); /* SLOT_UNSERVED */
	if (reply->type != RESP_TYPE_ARRAY || reply->count > SLOTS)
		return "the reply to CLUSTER SLOTS is not a list of slots";
	for (size_t i = 0; i < reply->count && why == NULL; i++)
		why = read_range(map, &reply->items[i], asked_host);
	return why;
}
