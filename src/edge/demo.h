#ifndef EDGE_DEMO_H
#define EDGE_DEMO_H

#include "base/bytes.h"

/* The page /demo: web/demo.html, which scripts/embed makes part of the program. */
extern const struct slice edge_demo_page;

#endif
