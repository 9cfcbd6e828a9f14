#ifndef EDGE_DOOR_H
#define EDGE_DOOR_H

#include "server/door.h"

/* What the server asks of the edge about one of its clients: what its peer is told at the end, and
 * whether it may go on receiving a channel. For this layer only. */
extern const struct door_ops edge_door_ops;

#endif
