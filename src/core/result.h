#ifndef CORE_RESULT_H
#define CORE_RESULT_H

#include <fanfare/types.h>

#include "pubsub/post.h"

/* The results of the hub, in the words of the library. */
enum fanfare_result result_of(enum hub_result result);

#endif
