#ifndef SERVER_KEY_ID_H
#define SERVER_KEY_ID_H

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"

/*
 * Id of a key: the number of its database, 4 bytes, then its name: one string as the key of hash
 * maps.
 */
#define KEY_ID_DB_BYTES sizeof(uint32_t)
#define KEY_ID_ON_STACK 256 /* longer ones are allocated */

struct key_id {
	char *ptr;
	size_t len;
	char room[KEY_ID_ON_STACK];
};

/* The id, which borrows `id`. */
static inline struct slice
key_id_init(struct key_id *id, uint32_t db, struct slice name)
{
	id->len = KEY_ID_DB_BYTES + name.len;
	id->ptr = id->len <= sizeof(id->room) ? id->room : (char *)xmalloc(id->len);
	memcpy(id->ptr, &db, KEY_ID_DB_BYTES);
	if (name.len > 0)
		memcpy(id->ptr + KEY_ID_DB_BYTES, name.ptr, name.len);
	return (struct slice){id->ptr, id->len};
}

static inline void
key_id_release(struct key_id *id)
{
	if (id->ptr != id->room)
		xfree(id->ptr);
}

static inline struct slice
key_id_name(struct slice id)
{
	return (struct slice){id.ptr + KEY_ID_DB_BYTES, id.len - KEY_ID_DB_BYTES};
}

static inline uint32_t
key_id_db(struct slice id)
{
	uint32_t db;

	memcpy(&db, id.ptr, KEY_ID_DB_BYTES);
	return db;
}

#endif
