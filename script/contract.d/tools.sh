# The linters and generators, from npm and PyPI, in the target folder. Exits with 75 without node, Python or network. Sourced by
# script/contract and script/clients.
rules=$PWD/script/contract.d
base=${CARGO_TARGET_DIR:-$PWD/target}/contract-2
packages=(@stoplight/spectral-cli@6.16.3 @redocly/cli@2.77.0 openapi-typescript@7.13.0 openapi-fetch@0.17.0 @hey-api/openapi-ts@0.95.0 typescript@5.9.3 @types/node@26.6.6)
install() {
    (cd "$base" && npm init -y >/dev/null && timeout 300 npm install --no-audit --no-fund --ignore-scripts --silent "${packages[@]}") &&
        python3 -m venv "$base/python" &&
        timeout 240 "$base/python/bin/pip" install -q --disable-pip-version-check openapi-python-client==0.29.1 && touch "$base/ready"
}
mkdir -p "$base"
# Two runs may start at the same time, so only one installs.
exec 9>"$base.lock"
flock 9
if [ ! -e "$base/ready" ]; then
    for tool in node npm python3 curl; do
        command -v "$tool" >/dev/null || { echo "there is no $tool: skipped" >&2 && exit 75; }
    done
    # redocly needs it.
    node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || { echo "node is older than 20: skipped" >&2 && exit 75; }
    # If a registry is slow or can't be reached, the description is not at fault.
    install >&2 || { echo "the tools can't be installed: skipped" >&2 && exit 75; }
fi
exec 9>&-
# The Python generator formats what it makes with what stands beside it.
PATH=$base/python/bin:$PATH
