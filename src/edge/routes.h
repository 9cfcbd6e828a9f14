#ifndef EDGE_ROUTES_H
#define EDGE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/command.h"

/* Routes: which function answers which URL. One row for each; the functions are in files of their
 * families. For this layer only. */
struct edge_call;

enum edge_method {
	EDGE_GET = 1 << 0, /* and HEAD */
	EDGE_POST = 1 << 1,
};

struct edge_route {
	const char *path;
	bool is_prefix;    /* something follows: call->subpath */
	bool is_for_admin; /* from http-admin-from only */
	bool is_page;      /* needs no rights, and is answered also during CLIENT PAUSE */
	uint8_t methods;   /* enum edge_method */
	uint8_t door;      /* enum edge_door */
	enum command_result (*handler)(struct edge_call *call);
};

/* The route of a decoded path, among the doors that are open; NULL: there is none. */
const struct edge_route *edge_route_find(struct slice path, uint32_t doors);

#endif
