#include "config.h"

#include "core/result.h"

enum fanfare_result
result_of(enum hub_result result)
{
	switch (result) {
	case HUB_OK:
		return FANFARE_OK;
	case HUB_ALREADY:
		return FANFARE_ALREADY;
	case HUB_NOT_SUBSCRIBED:
		return FANFARE_NOT_SUBSCRIBED;
	case HUB_NAME_TOO_LONG:
		return FANFARE_NAME_TOO_LONG;
	case HUB_TOO_MANY_SUBSCRIPTIONS:
		return FANFARE_TOO_MANY_SUBSCRIPTIONS;
	case HUB_TOO_MANY_SUBSCRIBERS:
		return FANFARE_TOO_MANY_SUBSCRIBERS;
	case HUB_BLOCKED:
		return FANFARE_BLOCKED;
	case HUB_FULL:
		return FANFARE_FULL;
	case HUB_TOO_LARGE:
		return FANFARE_TOO_LARGE;
	case HUB_PREPARING:
		return FANFARE_PREPARING;
	}
	return FANFARE_INVALID;
}
