# Gives the browser tests a Chromium, installed from Debian's packages where none is and that can be done.
install_chromium() {
  if [ -x /usr/bin/chromium ] || [ -n "${DARKROOM_TEST_CHROMIUM:-}" ]; then return 0; fi
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >&2 || return 0
}
