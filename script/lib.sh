# Shared by the scripts: what must be installed, and a Postgres for the time of a command.

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# as_root COMMAND…: installing packages needs root; elsewhere nothing does.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "run this once as root, or install: $*"
    fi
}

# need_packages PACKAGE…: installs those of Debian's packages that are missing.
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

# need_postgres: the server's binaries, wherever they are. The distribution's own cluster is neither needed nor started.
need_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null && return
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    need_packages postgresql
}

# need_toolchain: Rust is there; what its crates with C in them need may not be.
need_toolchain() {
    command -v cargo >/dev/null || die "Rust's toolchain is needed: https://rustup.rs"
    pick_toolchain
    # A C compiler for what allocator and TLS have in C; certificates to fetch crates with.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || need_packages ca-certificates
    command -v cc >/dev/null && command -v make >/dev/null || need_packages gcc libc6-dev make
    command -v cmake >/dev/null || need_packages cmake
}

# pick_toolchain: rust-toolchain.toml names a version. Where rustup has it under another name ("stable") and may not fetch it, that one.
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

# with_postgres COMMAND…: runs a command with DATABASE_URL naming an empty database of a cluster that is gone afterwards.
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
    "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -s -w -l "$folder/log" -o "-c listen_addresses= -k $folder -c fsync=off" start
    cd - >/dev/null
    DATABASE_URL="postgres://dialplane@$(printf %s "$folder" | sed 's#/#%2F#g')/postgres" "$@"
)
