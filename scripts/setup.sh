#!/bin/bash
# setup.sh [vm]: installs the Debian packages that tests, checks and benchmarks need, as root or with a sudo that asks
# for no password. Otherwise says in one line what is missing; tests that need it are skipped.
#
# Starts no service, now or at the next boot: only the programs are needed.
set -euo pipefail

# command:package, or pattern of files:package
needs=(
    nginx:nginx-light haproxy:haproxy node:nodejs uvicorn:uvicorn gunicorn:gunicorn python3:python3
    start_server:libserver-starter-perl /usr/share/perl5/Plack/Handler/Starlet.pm:starlet
    /usr/share/nodejs/express/package.json:node-express
    ruby:ruby puma:puma php:php-cli '/usr/sbin/php-fpm*:php-fpm' gccgo:gccgo javac:default-jdk-headless
    runsv:runit chpst:runit s6-svscan:s6 s6-setuidgid:s6 execlineb:execline
    ip:iproute2 ss:iproute2 setpriv:util-linux unshare:util-linux capsh:libcap2-bin ps:procps curl:curl strace:strace
    mandoc:mandoc shellcheck:shellcheck zsh:zsh fish:fish
    cc:gcc tmux:tmux dpkg-shlibdeps:dpkg-dev lintian:lintian systemd-socket-activate:systemd
)
# What make test-vm needs as well.
for_machines=(
    qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap mkfs.ext4:e2fsprogs depmod:kmod cpio:cpio xz:xz-utils
)
[ "${1:-}" != vm ] || needs+=("${for_machines[@]}")
oldest_node=18

# Searches where the tests do. Targets run as other users, who cannot enter one user's own folders.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

missing() {
    local need version
    for need in "${needs[@]}"; do
        if [ "${need#/}" != "$need" ]; then
            compgen -G "${need%%:*}" >/dev/null || echo "${need##*:}"
        elif ! command -v "${need%%:*}" >/dev/null; then
            echo "${need##*:}"
        elif [ "${need%%:*}" = node ]; then
            version=$(node --version 2>/dev/null || true)
            version=${version#v}
            [ "${version%%.*}" -ge $oldest_node ] 2>/dev/null || echo nodejs
        fi
    done | sort -u
}

install_packages() {
    local policy=/usr/sbin/policy-rc.d has_policy=no
    # Two runs at once would remove each other's policy.
    exec 9>/run/reuseport-exec-setup.lock
    flock 9
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    echo "setup: installing ${packages[*]}" >&2
    if [ ! -e $policy ]; then
        has_policy=yes
        # shellcheck disable=SC2064
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    # RUNLEVEL=1 keeps invoke-rc.d from starting services where another policy allows it.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    local apt=(apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600)
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || "${apt[@]}" update >&2 || true
    if ! "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >&2; then
        "${apt[@]}" update >&2 || true
        # Installs one by one, so that a package missing from this release does not prevent the others.
        local package
        for package in "${packages[@]}"; do
            "${apt[@]}" install -y --no-install-recommends "$package" >&2 || true
        done
    fi
    if [ -d /run/systemd/system ]; then
        local service
        for service in nginx haproxy runit; do
            case " ${packages[*]} " in
                *" $service "* | *" $service-light "*) systemctl disable --quiet --now "$service" || true ;;
            esac
        done
        # The service of PHP-FPM has the version in its name.
        case " ${packages[*]} " in
            *' php-fpm '*)
                for service in /lib/systemd/system/php*-fpm.service; do
                    systemctl disable --quiet --now "${service##*/}" || true
                done
                ;;
        esac
    fi
    if [ $has_policy = yes ]; then
        rm -f $policy
        trap - EXIT
    fi
}

mapfile -t packages < <(missing)
[ ${#packages[@]} -gt 0 ] || exit 0
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        install_packages
    elif [ "${2:-}" != --no-sudo ] && command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$0" "${1:-}" --no-sudo
    fi
fi
mapfile -t packages < <(missing)
[ ${#packages[@]} -eq 0 ] || echo "setup: missing packages, tests that need them are skipped: ${packages[*]}" >&2
