# Gives the tests a Chromium and the reverse proxies, from Debian's packages where they can be had; tests for what is missing are skipped.
install_debian() {
  local missing=()
  [ -x /usr/bin/chromium ] || [ -n "${DARKROOM_TEST_CHROMIUM:-}" ] || missing+=(chromium)
  [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
  [ -x /usr/bin/caddy ] || missing+=(caddy)
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 || return 0
}
