#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

/* The arguments of a request of http_protocol (http/protocol.h): these, then the name and the value
 * of each header field. */
enum http_arg {
	HTTP_METHOD,
	HTTP_TARGET,
	HTTP_VERSION, /* "1.0" or "1.1" */
	HTTP_BODY,    /* "" if there is none */
	HTTP_FIELDS,  /* the first name, if there is one */
};

#endif
