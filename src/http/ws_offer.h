#ifndef HTTP_WS_OFFER_H
#define HTTP_WS_OFFER_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * True if an element of Sec-WebSocket-Extensions is an offer of permessage-deflate that can be
 * accepted (RFC 7692, section 7.1): all parameters are known and valid, each is there once, and the
 * server may use a window of 32 KiB. *names_window: the offer has server_max_window_bits, and so
 * must the response. If false, *names_window is unchanged.
 */
bool ws_offer_accept(struct slice offer, bool *names_window) __attribute__((warn_unused_result));

#endif
