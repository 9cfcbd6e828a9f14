#ifndef SERVER_EPOCH_H
#define SERVER_EPOCH_H

#include <stdint.h>

/*
 * The epoch of positions (pubsub/position.h): the Unix time in seconds, and 20 random bits. No
 * other run of a server has the same, and the numbers of JavaScript keep it exactly.
 */
struct random;

uint64_t epoch_new(struct random *random);

#endif
