#ifndef RESP_PROTOCOL_H
#define RESP_PROTOCOL_H

#include "base/protocol.h"

/* RESP2, RESP3 and inline commands, as resp/parser.h reads them. */
extern const struct protocol resp_protocol;

#endif
