# Programs that only tests need: other releases of restic and its REST server, and Prometheus with promtool. They
# are fetched from this machine's own Debian sources and unpacked under .cache/programs; nothing is installed, no service
# started, no right needed. Sourced by scripts/test after setup.sh, never run.
#
# The rule a change must not break: what cannot be had is said with its reason, and stops nothing.

programs=$cache/programs

# Why the last attempt failed: the last thing that apt or dpkg complained about.
complaint() { grep -E '^(E|W|Err|dpkg|apt-get):?' "$cache/programs.log" | tail -n 1 || true; }

# A private apt: its lists and archives under .cache/apt/NAME, its sources the system's or a file of ours.
private_apt() {
    local name=$1 sources=${2:-}
    local state=$cache/apt/$name
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    # Nothing counts as installed, else the installed release would be preferred to the one in our sources.
    : >"$state/status"
    {
        # Hooks of the system act on the system's lists.
        printf '#clear %s;\n' APT::Update::Post-Invoke APT::Update::Post-Invoke-Success DPkg::Post-Invoke
        printf '%s "%s";\n' Dir::State::lists "$state/lists" Dir::State::status "$state/status" \
            Dir::Cache "$state" APT::Sandbox::User root Acquire::Languages none Acquire::Retries 2
        if [ -n "$sources" ]; then
            printf '%s "%s";\n' Dir::Etc::SourceList "$sources" Dir::Etc::SourceParts /dev/null
        fi
    } >"$state/apt.conf"
    apt=(apt-get -q -c "$state/apt.conf")
    # Lists of today are fresh enough.
    if [ -z "$(find "$state/updated" -mtime -1 2>/dev/null)" ]; then
        "${apt[@]}" update >>"$cache/programs.log" 2>&1 </dev/null || return 1
        touch "$state/updated"
    fi
}

# unpack PACKAGE FOLDER: by the apt that stands in ${apt[@]}; the folder appears whole or not at all.
unpack() {
    local work fine=1
    work=$(mktemp -d "$programs/unpacking.XXXXXX")
    if (cd "$work" && "${apt[@]}" -o APT::Sandbox::User=root download "$1" && dpkg -x ./*.deb tree) \
        >>"$cache/programs.log" 2>&1 </dev/null; then
        rm -rf "$2"
        mv "$work/tree" "$2" && fine=0
    fi
    rm -rf "$work"
    return "$fine"
}

begin_programs() {
    mkdir -p "$programs" "$cache/apt"
    : >"$cache/programs.log"
    rm -rf "$programs"/unpacking.*
    command -v apt-get >/dev/null && command -v dpkg >/dev/null
}

# From the lists that are there, else from fresh private ones.
unpack_own() {
    apt=(apt-get -q)
    unpack "$1" "$programs/$1" || { private_apt own && unpack "$1" "$programs/$1"; }
}

get_prometheus() {
    local prometheus=$programs/prometheus/usr/bin/prometheus promtool=$programs/prometheus/usr/bin/promtool
    if [ ! -x "$prometheus" ]; then
        say "  Fetching prometheus"
        unpack_own prometheus || say "  No prometheus for the tests: $(complaint)"
    fi
    # Debian 12 has both in one package, Debian 13 in two.
    [ -x "$promtool" ] || promtool=$programs/promtool/usr/bin/promtool
    if [ ! -x "$promtool" ]; then
        say "  Fetching promtool"
        unpack_own promtool || say "  No promtool for the tests: $(complaint)"
    fi
    if [ -x "$prometheus" ]; then export LASTGOOD_TEST_PROMETHEUS=$prometheus; fi
    if [ -x "$promtool" ]; then export LASTGOOD_TEST_PROMTOOL=$promtool; fi
}

# Where this machine gets Debian's main archive from, with the key that signs it: "URI|KEYRING".
archive() {
    local format='$(REPO_URI)|$(SIGNED_BY)|$(COMPONENT)|$(ORIGIN)|$(RELEASE)'
    "${apt[@]}" indextargets --format "$format" 'Created-By: Packages' 2>/dev/null |
        sed -nE 's/^([^|]+)\|([^|]*)\|main\|Debian\|[a-z]+$/\1|\2/p' | head -n 1
}

restic_version() { "$1" version 2>/dev/null | sed -nE 's/^restic ([0-9.]+).*/\1/p'; }

# get_restic SUITE: leaves .cache/programs/restic-VERSION, and a link restic-SUITE that names it.
get_restic() {
    local suite=$1 uri=$2 key=$3 link=$programs/restic-$1 sources=$cache/apt/$1.list version
    if [ ! -x "$link/usr/bin/restic" ]; then
        say "  Fetching restic of Debian $suite"
        printf 'deb %s%s %s main\n' "${key:+[signed-by=$key] }" "$uri" "$suite" >"$sources"
        if ! private_apt "$suite" "$sources" || ! unpack restic "$programs/restic-new"; then
            say "  No restic of $suite for the tests: $(complaint)"
            return
        fi
        version=$(restic_version "$programs/restic-new/usr/bin/restic") || true
        if [ -z "$version" ]; then
            say "  No restic of $suite for the tests: it does not run on this system:" \
                "$("$programs/restic-new/usr/bin/restic" version 2>&1 | head -n 1)"
            return
        fi
        rm -rf "$programs/restic-$version"
        mv "$programs/restic-new" "$programs/restic-$version"
        ln -sfn "restic-$version" "$link"
    fi
}

get_restic_releases() {
    local own uri key suite folder version found=()
    own=$(restic_version "$(command -v restic)") || true
    apt=(apt-get -q)
    if [ -z "$(archive)" ]; then private_apt own || true; fi
    IFS='|' read -r uri key <<<"$(archive)" || true
    # An unset field of apt's answer comes back as its own name.
    case $key in '$('*) key='' ;; esac
    if [ -z "$uri" ]; then
        say "  No other releases of restic for the tests: no source of Debian's main archive on this machine."
    else
        for suite in bookworm trixie unstable; do get_restic "$suite" "$uri" "$key"; done
    fi
    for folder in "$programs"/restic-[0-9]*; do
        version=${folder##*/restic-}
        if [ -x "$folder/usr/bin/restic" ] && [ "$version" != "$own" ]; then found+=("$folder/usr/bin/restic"); fi
    done
    LASTGOOD_TEST_RESTIC_RELEASES=$(IFS=:; printf '%s' "${found[*]}")
    export LASTGOOD_TEST_RESTIC_RELEASES
}

# restic's REST server, which newer releases of Debian have; needs what get_restic_releases has prepared.
get_rest_server() {
    local server=$programs/rest-server/usr/bin/rest-server suite link
    if [ ! -x "$server" ]; then
        say "  Fetching restic's REST server"
        for suite in trixie unstable; do
            [ -f "$cache/apt/$suite.list" ] && private_apt "$suite" "$cache/apt/$suite.list" &&
                unpack restic-rest-server "$programs/rest-server" && break
        done
        if [ ! -e "$programs/rest-server" ]; then
            say "  No REST server for the tests: $(complaint)"
            return
        fi
        # Whatever the package calls it.
        link=$(find "$programs/rest-server/usr" -type f -name '*rest-server*' -perm -u+x | head -n 1)
        if [ -n "$link" ] && [ "$link" != "$server" ]; then
            mkdir -p "${server%/*}"
            ln -sfn "$link" "$server"
        fi
    fi
    if ! "$server" --version >/dev/null 2>&1; then
        say "  No REST server for the tests: it does not run on this system."
        return
    fi
    LASTGOOD_TEST_REST_SERVER=$server
    export LASTGOOD_TEST_REST_SERVER
}

# A container engine and what it starts, each in a folder of its own; PATH of a test names them all.
get_docker() {
    local package folders=()
    for package in docker.io containerd runc busybox-static; do
        if [ ! -d "$programs/$package" ]; then
            say "  Fetching $package"
            unpack_own "$package" || say "  No container engine for the tests: $(complaint)"
        fi
        folders+=("$programs/$package/usr/sbin" "$programs/$package/usr/bin" "$programs/$package/bin")
    done
    LASTGOOD_TEST_DOCKER=$(IFS=:; printf '%s' "${folders[*]}")
    export LASTGOOD_TEST_DOCKER
}

# Compose 2, which newer releases of Debian have; needs what get_restic_releases and get_docker have prepared.
get_compose() {
    local folder=$programs/docker-compose suite found
    if [ ! -d "$folder" ]; then
        say "  Fetching docker-compose"
        for suite in trixie unstable; do
            [ -f "$cache/apt/$suite.list" ] && private_apt "$suite" "$cache/apt/$suite.list" &&
                unpack docker-compose "$folder" && break
        done
    fi
    found=$(find "$folder" -type f -name docker-compose -perm -u+x 2>/dev/null | head -n 1)
    if [ -z "$found" ] || ! "$found" version >/dev/null 2>&1; then
        say "  No docker-compose for the tests: $([ -n "$found" ] && printf 'it does not run here' || complaint)"
        return
    fi
    LASTGOOD_TEST_DOCKER=$LASTGOOD_TEST_DOCKER:${found%/*}
    export LASTGOOD_TEST_DOCKER
}

# A browser is too entangled with the system to be unpacked; it is installed, if this user may.
get_chromium() {
    local wanted=$1
    if ! command -v chromium >/dev/null && [ "$wanted" = browser ]; then
        if ! may_install chromium; then
            say "  No Chromium for the tests, and it may not be installed here. To have it: $(install_command chromium)"
        elif ! (install_packages chromium); then
            say "  No Chromium for the tests: apt could not install it."
        fi
    fi
    if command -v chromium >/dev/null; then
        LASTGOOD_TEST_CHROMIUM=$(command -v chromium)
        export LASTGOOD_TEST_CHROMIUM
    fi
}

get_programs() {
    if ! begin_programs; then
        say "  No Prometheus and no other restic for the tests: they come from Debian packages, and this is no Debian."
        return
    fi
    get_prometheus
    if [ "$1" = slow ]; then
        get_restic_releases
        get_rest_server
        get_docker
        get_compose
    fi
    get_chromium "$1"
}
