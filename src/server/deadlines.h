#ifndef SERVER_DEADLINES_H
#define SERVER_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Deadlines: moments at which something ends, a binary heap. Each is embedded in what it is the end
 * of. It reads no clock. A zeroed struct holds none.
 */
struct deadline {
	uint64_t at_us;
	size_t place; /* the heap's */
};

struct deadlines {
	struct deadline **heap;
	size_t count, room;
};

void deadlines_release(struct deadlines *d); /* borrows what is left */

/* Borrows deadline, which is in none, until it is removed. */
void deadlines_add(struct deadlines *d, struct deadline *deadline, uint64_t at_us);
void deadlines_remove(struct deadlines *d, struct deadline *deadline);

struct deadline *deadlines_first(const struct deadlines *d); /* NULL: there is none */

#endif
