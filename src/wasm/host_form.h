#ifndef WASM_HOST_FORM_H
#define WASM_HOST_FORM_H

#include <fanfare/form.h>

/*
 * The form of the messages that a host reads: a struct host_block and its bytes, so that a frame is
 * copied to the arena as it is. Each frame that is written gets the next serial, which says that
 * several subscribers have the same one. A notice of missing messages is a block with serial 0 and
 * the number of messages as seq. arg is a uint32_t: the last serial.
 */
extern const struct fanfare_form host_form;

#endif
