#!/bin/sh
# Publishes that the status of an order has changed, from a script or a cron job.
#
#     sh notify.sh ORDER STATUS...        for example: sh notify.sh 17 paid packed
#
# Needs redis-cli (Debian: redis-tools). FANFARE_HOST and FANFARE_PORT name the server.
# Exit status: 0 if all were published, 1 if one was not, 2 for a mistake in the arguments.
set -eu

if [ $# -lt 2 ]; then
	echo 'usage: notify.sh ORDER STATUS...' >&2
	exit 2
fi
order=$1
shift

# Only characters that need no escaping in JSON are accepted.
case $order in *[!0-9]* | '') echo "not an order number: $order" >&2; exit 2 ;; esac
for status; do
	case $status in *[!a-z-]* | '') echo "not a status: $status" >&2; exit 2 ;; esac
done

for status; do
	heard=$(printf '{"order":%s,"status":"%s","at":%s}' "$order" "$status" "$(date +%s)" |
		redis-cli -e -h "${FANFARE_HOST:-127.0.0.1}" -p "${FANFARE_PORT:-6379}" \
			-x PUBLISH "orders.$order.status") || {
		echo "order $order: $status was not published: $heard" >&2
		exit 1
	}
	echo "order $order: $status, heard by $heard"
done
