#ifndef SERVER_WIRE_H
#define SERVER_WIRE_H

#include "pubsub/hub.h"

/* Wire: how messages look on the wire, a row for each version of RESP, without and with the
 * position of the message in front of its payload. */
enum server_form {
	SERVER_FORM_RESP2,
	SERVER_FORM_RESP3,
	SERVER_FORM_RESP2_POSITIONS, /* the payload is "<position> <payload>" */
	SERVER_FORM_RESP3_POSITIONS,
	SERVER_WIRE_FORMS
};

extern const struct wire_form server_wire_forms[SERVER_WIRE_FORMS];

#endif
