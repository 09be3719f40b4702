#!/usr/bin/env bash
# A private RabbitMQ for tests: own ports, own folder, ends when the test run ends. Run by nextest before the tests that need it
# (.config/nextest.toml); writes QIAO_TEST_AMQP, its URL, to $NEXTEST_ENV, or prints it where that is not set.
set -euo pipefail

sbin=$(echo /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin)
if [ ! -x "$sbin/rabbitmq-server" ]; then
  echo "RabbitMQ is not installed: run scripts/setup.sh" >&2
  exit 1
fi

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The run that these tests belong to: nextest itself, which started this script.
run=$PPID
folder=$(mktemp -d "${TMPDIR:-/tmp}/qiao-broker.XXXXXX")
port=$(free_port)
export HOME="$folder" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT
ERL_EPMD_PORT=$(free_port)
export RABBITMQ_NODENAME="qiao-test-$$@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port"
export RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/log" RABBITMQ_PID_FILE="$folder/pid"
export RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" RABBITMQ_CONFIG_FILE="$folder/rabbitmq"
export RABBITMQ_CONF_ENV_FILE="$folder/none" RABBITMQ_GENERATED_CONFIG_DIR="$folder/config"
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
RABBITMQ_DIST_PORT=$(free_port)
export RABBITMQ_DIST_PORT
echo '[].' >"$folder/plugins"
printf 'log.file.level = warning\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n' >"$folder/rabbitmq.conf"

setsid "$sbin/rabbitmq-server" >"$folder/out" 2>&1 </dev/null &
server=$!

# Ends the broker and its port mapper when the run has ended, however it ended.
setsid bash -c '
  while kill -0 "$1" 2>/dev/null && kill -0 "$2" 2>/dev/null; do sleep 1; done
  kill -- -"$2" 2>/dev/null
  for i in $(seq 50); do kill -0 -- -"$2" 2>/dev/null || break; sleep 0.2; done
  kill -9 -- -"$2" 2>/dev/null
  epmd -port "$4" -kill >/dev/null 2>&1
  rm -rf "$3"
' guard "$run" "$server" "$folder" "$ERL_EPMD_PORT" >/dev/null 2>&1 </dev/null &

for _ in $(seq 300); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    url="amqp://guest:guest@127.0.0.1:$port/%2f"
    if [ -n "${NEXTEST_ENV:-}" ]; then echo "QIAO_TEST_AMQP=$url" >>"$NEXTEST_ENV"; else echo "$url"; fi
    exit 0
  fi
  if ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.2
done
echo "RabbitMQ did not start:" >&2
tail -20 "$folder/out" >&2
kill -- -"$server" 2>/dev/null || true
exit 1
