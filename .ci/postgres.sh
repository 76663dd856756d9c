# Starts a throw-away PostgreSQL on a free loopback port and exports DARKROOM_TEST_POSTGRES_URL; stops it when the shell ends.
# Without PostgreSQL (not Debian, no root, no package) it says so and leaves the variable unset: the tests that need it are
# then left out.

start_postgres() {
  local bin
  bin=$(postgres_binaries) || { echo "PostgreSQL could not be installed: its contract tests are skipped" >&2; return 0; }
  postgres_folder=$(mktemp -d)
  chown postgres "$postgres_folder"
  local port
  port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
  # initdb refuses to run as root.
  su postgres -c "$bin/initdb -D $postgres_folder/data -U darkroom --auth=trust -E UTF8" >/dev/null
  su postgres -c "$bin/pg_ctl -D $postgres_folder/data -w -o '-h 127.0.0.1 -p $port -k $postgres_folder' -l $postgres_folder/log start" >/dev/null
  postgres_stop="su postgres -c '$bin/pg_ctl -D $postgres_folder/data -m immediate stop' >/dev/null; rm -rf $postgres_folder"
  trap 'eval "$postgres_stop"' EXIT
  export DARKROOM_TEST_POSTGRES_URL="postgres://darkroom@127.0.0.1:$port/postgres"
  echo "PostgreSQL $("$bin/postgres" --version | grep -oE '[0-9.]+' | head -1) serves the contract tests on port $port"
}

# Prints the folder of the newest server binaries, installed first where that is possible.
postgres_binaries() {
  newest_postgres && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >&2 || return 1
  newest_postgres
}

newest_postgres() {
  [ "$(id -u)" = 0 ] || return 1
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  [ -n "$found" ] && [ -x "$found/initdb" ] && echo "$found"
}
