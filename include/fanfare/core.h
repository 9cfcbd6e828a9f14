#ifndef FANFARE_CORE_H
#define FANFARE_CORE_H

/*
 * libfanfare-core: the publish/subscribe core of fanfared(8) in a process of one's own. See
 * fanfare-core(3). No function aborts because of an argument; out of memory does, see
 * fanfare_setup().
 */
#include <fanfare/form.h>
#include <fanfare/history.h>
#include <fanfare/hub.h>
#include <fanfare/subscriber.h>
#include <fanfare/types.h>

#endif
