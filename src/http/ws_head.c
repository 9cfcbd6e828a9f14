#include "config.h"

#include "http/ws_head.h"

#include <string.h>

#include "http/ws_frame.h"

enum {
	FIN = 0x80,
	RSV1 = 0x40,
	RSV2_RSV3 = 0x30,
	OPCODE = 0x0F,
	MASKED = 0x80,
	LEN_7 = 0x7F,
	LEN_16 = 126,
	LEN_64 = 127,
};

/* Bytes of the length behind the first two bytes. */
static size_t
length_size(unsigned char second)
{
	unsigned len = second & LEN_7;

	return len == LEN_64 ? 8 : len == LEN_16 ? 2 : 0;
}

size_t
ws_head_size(const unsigned char *bytes, size_t have)
{
	return have < 2 ? 2 : 2 + length_size(bytes[1]) + sizeof(((struct ws_head *)0)->mask);
}

const char *
ws_head_check(const unsigned char *bytes, bool may_compress)
{
	unsigned opcode = bytes[0] & OPCODE;

	if ((bytes[0] & RSV2_RSV3) != 0)
		return "1002 reserved bit is set";
	if ((bytes[0] & RSV1) != 0 && (!may_compress || (opcode != WS_TEXT && opcode != WS_BINARY)))
		return "1002 reserved bit is set";
	if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
		return "1002 unknown opcode";
	if ((bytes[1] & MASKED) == 0)
		return "1002 frame is not masked";
	if (opcode >= WS_CLOSE && (bytes[0] & FIN) == 0)
		return "1002 fragmented control frame";
	if (opcode >= WS_CLOSE && (bytes[1] & LEN_7) > WS_CONTROL_MAX)
		return "1002 control frame larger than 125 bytes";
	return NULL;
}

const char *
ws_head_read(const unsigned char *bytes, struct ws_head *head)
{
	size_t size = length_size(bytes[1]);
	uint64_t len = 0;

	for (size_t i = 0; i < size; i++)
		len = len << 8 | bytes[2 + i];
	if (size == 0)
		len = bytes[1] & LEN_7;
	else if (len >> 63 != 0)
		return "1002 invalid length";
	else if (len <= (size == 2 ? WS_CONTROL_MAX : UINT16_MAX))
		return "1002 length is not in its shortest form";
	*head = (struct ws_head){.len = len,
	    .opcode = bytes[0] & OPCODE,
	    .is_final = (bytes[0] & FIN) != 0,
	    .is_compressed = (bytes[0] & RSV1) != 0};
	memcpy(head->mask, bytes + 2 + size, sizeof(head->mask));
	return NULL;
}
