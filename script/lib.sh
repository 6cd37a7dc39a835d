# Shared by the scripts: installs what they need, and runs commands with a temporary Postgres.

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# as_root COMMAND…: runs a command as root. Only the installation of packages needs that.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "run this once as root, or install: $*"
    fi
}

# need_packages PACKAGE…: installs missing Debian packages.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || die "please install: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "${missing[@]}" >&2
}

# need_postgres: installs the server's binaries if there are none. The distribution's cluster is not needed, so it is not created.
need_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null && return
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    need_packages postgresql
}

# need_toolchain: checks that Rust is installed, and installs what crates with C code need.
need_toolchain() {
    command -v cargo >/dev/null || die "Rust's toolchain is needed: https://rustup.rs"
    pick_toolchain
    # The allocator and TLS have C code, so they need a C compiler. Fetching crates needs certificates.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || need_packages ca-certificates
    command -v cc >/dev/null && command -v make >/dev/null || need_packages gcc libc6-dev make
    command -v cmake >/dev/null || need_packages cmake
}

# pick_toolchain: if cargo can't use the version in rust-toolchain.toml, chooses a toolchain that has this version under another name,
# such as "stable".
pick_toolchain() {
    cargo --version >/dev/null 2>&1 && return
    local wanted name
    wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    for name in $(rustup toolchain list 2>/dev/null | cut -d ' ' -f 1); do
        case "$(rustc "+$name" --version 2>/dev/null)" in
            "rustc $wanted "*) export RUSTUP_TOOLCHAIN=$name; return ;;
        esac
    done
    die "Rust $wanted is needed: rustup toolchain install $wanted"
}

# with_postgres COMMAND…: runs a command with an empty database in DATABASE_URL. Its cluster is deleted afterwards.
with_postgres() (
    folder=$(mktemp -d)
    bin=$(dirname "$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")
    run=()
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$folder"
        run=(runuser -u postgres --)
    fi
    trap '"${run[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -s stop; rm -rf "$folder"' EXIT
    cd /
    "${run[@]}" "$bin/initdb" -D "$folder/data" -U dialplane -A trust -E UTF8 --locale=C >/dev/null
    "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -s -w -l "$folder/log" -o "-c listen_addresses= -k $folder -c fsync=off -c max_connections=200" start
    cd - >/dev/null
    DATABASE_URL="postgres://dialplane@$(printf %s "$folder" | sed 's#/#%2F#g')/postgres" "$@"
)
