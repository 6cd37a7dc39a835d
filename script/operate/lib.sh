# Shared by the scripts that operate a node. Each prints what it saw and ends with "well", or fails.

. script/lib.sh

# start_node: starts a node in the background, with the settings in $folder/dialplane.toml, and waits until it is ready. The program is
# $DIALPLANE, or else the debug build.
start_node() {
    program=${DIALPLANE:-target/debug/dialplane}
    [ -x "$program" ] || cargo build --quiet --locked
    need_postgres
    env -u DIALPLANE_LOG "$program" serve --config "$folder/dialplane.toml" --data-dir "$folder/data" 2>"$folder/log" >/dev/null &
    node=$!
    local tries=0
    until grep -q '"message":"ready"' "$folder/log"; do
        kill -0 "$node" 2>/dev/null || { cat "$folder/log" >&2; die "the node did not start"; }
        [ $((tries += 1)) -lt 600 ] || die "the node did not become ready"
        sleep 0.1
    done
}

end_node() { kill "$node" 2>/dev/null && wait "$node" 2>/dev/null || true; }

# eventually WHAT COMMAND…: repeats a command until it succeeds, for at most a minute, and says how long it took.
eventually() {
    local what=$1 since=$SECONDS began=$EPOCHREALTIME
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - since)) -lt 60 ] || die "this did not happen within a minute: $what"
        sleep 0.1
    done
    echo "$what: after $(echo "$EPOCHREALTIME $began" | awk '{ printf "%.1f", $1 - $2 }') s"
}
