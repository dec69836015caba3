# What scripts/up, scripts/test and scripts/check share: prepare SET brings up .venv with a locked set
# (hub or dev) and restic. Sourced by them, never run.
#
# The rule a change must not break: any step may be cut off at any moment and the next call mends it. So a
# mark (.venv/unfinished) stands while the virtual environment is being changed, and the stamp comes last.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
cache=$root/.cache
log=$cache/setup.log

say() { printf '%s\n' "$*" >&2; }

# What only the reader can mend: sentences, and the exit code for bad surroundings.
refuse() {
    printf '%s\n' "$@" >&2
    exit 78
}

# Runs a command with its output in the log; when it fails, the end of the log is shown.
logged() {
    local what=$1
    shift
    say "  $what"
    printf '\n== %s\n' "$*" >>"$log"
    if ! "$@" >>"$log" 2>&1 </dev/null 9>&-; then
        say "  That failed. The end of $log:"
        tail -n 20 "$log" >&2
        return 1
    fi
}

# --- what is there already ---------------------------------------------------------------------------------

# Of the virtual environment: where it stands and its Python; changes of these need a new one.
place() { "$venv/bin/python" -I -c 'import sys; print(*sys.version_info[:2], sys.argv[1])' "$venv" 2>/dev/null; }

# Of what is in it: the locks, the project's metadata and the way it is installed.
content() { cat "$root"/requirements/*.txt "$root/pyproject.toml" "$root/scripts/setup.sh" | sha256sum; }

# PYTHON=... chooses the Python; a virtual environment of another one does not count.
chosen() { [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V)" = "$("$venv/bin/python" -V)" ]; }

stamped() {
    local stamp=$venv/ready-$1
    [ -f "$stamp" ] && [ ! -e "$venv/unfinished" ] && [ "$(<"$stamp")" = "$(place && content)" ] && chosen
}

# A venv that was cut off, moved with its folder, or left behind by an upgrade of Python is of no use.
usable() {
    local stamp
    [ -x "$venv/bin/pip" ] && [ ! -e "$venv/unfinished" ] && place >/dev/null && chosen || return 1
    for stamp in "$venv"/ready-*; do
        [ ! -f "$stamp" ] || [ "$(head -n 1 "$stamp")" = "$(place)" ] || return 1
    done
}

# The dev set holds everything of the hub set, so its stamp counts for both.
ready() { command -v restic >/dev/null && { stamped dev || stamped "$1"; }; }

# The first Python that is new enough.
interpreter() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# --- Debian packages ---------------------------------------------------------------------------------------

# The one line that installs packages on this machine, for a reader to paste.
install_command() {
    local steps="apt-get update && apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        local tool
        for tool in "dnf install -y" "zypper install -y" "pacman -S" "apk add" "brew install"; do
            if command -v "${tool%% *}" >/dev/null; then
                steps="$tool $*"
                break
            fi
        done
        case $steps in apt-get*) steps="(your system's package manager) install $*" ;; esac
    fi
    if [ "$(id -u)" = 0 ] || [ "${steps%% *}" = brew ]; then
        printf '%s' "$steps"
    elif command -v sudo >/dev/null; then
        printf '%s' "sudo ${steps/"&& "/"&& sudo "}"
    else
        printf '%s' "su -c '$steps'"
    fi
}

# Sets elevate to the words that make a command root's; false where nothing on this machine may.
may_install() {
    elevate=()
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || return 1
    elevate=(sudo -n)
    sudo -n true 2>/dev/null && return 0
    # Somebody must be there to type the password.
    [ -t 0 ] && [ -t 2 ] || return 1
    say "Installing $* asks for your password:"
    elevate=(sudo)
    sudo -v
}

install_packages() {
    if ! may_install "$@"; then
        refuse "Missing here, and not ours to install without more rights: $*. Run this, then $0 again:" \
            "" "    $(install_command "$@")" ""
    fi
    # Debian's own timers hold the lock for minutes on a fresh machine.
    local apt=("${elevate[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
    local install=("${apt[@]}" install -y --no-install-recommends "$@")
    # Fresh lists are needed on a bare machine, and where the known version has been superseded.
    if apt-cache show "$@" >/dev/null 2>&1 && "${install[@]}" >>"$log" 2>&1 </dev/null 9>&-; then
        say "  Installed $*"
        return
    fi
    # apt refuses to go on over an installation that was cut off.
    if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
        logged "Finishing an interrupted installation" \
            "${elevate[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
    fi
    logged "Reading the package lists" "${apt[@]}" update
    logged "Installing $*" "${install[@]}"
}

# Everything from outside Python in one go, so that a password is asked for once.
install_missing() {
    local missing=() python
    if ! command -v restic >/dev/null; then missing+=(restic); fi
    if ! usable; then
        if ! python=$(interpreter); then
            if command -v python3 >/dev/null || [ -n "${PYTHON:-}" ]; then
                refuse "lastgood needs Python 3.11 or newer and found $("${PYTHON:-python3}" -V 2>&1);" \
                    "install one (Debian 12 and later have it) and name it: PYTHON=python3.13 $0"
            fi
            missing+=(python3-venv)
        elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            missing+=("$(basename "$python")-venv")
        fi
    fi
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# --- the virtual environment -------------------------------------------------------------------------------

make_venv() {
    local python=
    if ! usable; then
        python=$(interpreter)
        rm -rf "$venv"
        mkdir -p "$venv"
    fi
    touch "$venv/unfinished"
    rm -f "$venv"/ready-*
    [ -z "$python" ] || logged "Making .venv with $("$python" -V)" "$python" -m venv "$venv"
}

# Wheels only: building a package would fetch whatever its build asks for, and that is in no lock.
install_locked() {
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input install) name files=() args=()
    for name in "$@"; do
        files+=("$root/requirements/$name.txt")
        args+=(-r "$root/requirements/$name.txt")
    done
    logged "Installing $(cat "${files[@]}" | grep -c ==) locked packages" \
        "${pip[@]}" --require-hashes --no-deps --only-binary :all: "${args[@]}"
    logged "Installing lastgood" "${pip[@]}" --no-deps --no-build-isolation --editable "$root"
}

prepare() {
    local set=$1 began=$SECONDS
    if ready "$set"; then return; fi
    if ! { mkdir -p "$cache" && : >>"$log"; } 2>/dev/null; then
        refuse "$cache cannot be written by $(id -un), so nothing can be set up here; make the folder yours:" \
            "" "    sudo chown -R $(id -un) '$root'" ""
    fi
    exec 9>"$cache/setup.lock"
    if command -v flock >/dev/null && ! flock -n 9; then
        say "Another set-up is running in this folder; waiting for it."
        flock 9
    fi
    if ! ready "$set"; then
        : >"$log"
        say "Setting up (once; details in .cache/setup.log)"
        install_missing
        make_venv
        if [ "$set" = dev ]; then install_locked dev; else install_locked "$set" build; fi
        rm -f "$venv/unfinished"
        { place && content; } >"$venv/ready-$set.new"
        mv "$venv/ready-$set.new" "$venv/ready-$set"
        say "Ready after $((SECONDS - began)) s."
    fi
    exec 9>&-
}
