#!/bin/bash
# changelog.sh: writes CHANGELOG.md in Debian's form. An unreleased version gets the time of the last commit.
set -euo pipefail
maintainer=$(sed -n 's/^Maintainer: //p' packaging/control)
version='' when=''

end_of_version() { [ -z "$version" ] || printf '\n -- %s  %s\n\n' "$maintainer" "$(date --rfc-email -d "$when")"; }

# Joins the lines of each point into one.
points() {
    awk '/^(- |#|$)/ { printf "\n%s", $0; next }
         { sub(/^ +/, ""); printf " %s", $0 }
         END { print "" }' CHANGELOG.md
}

while IFS= read -r line; do
    if [[ $line =~ ^'## '([^ ]+)' ('(.*)')' ]]; then
        end_of_version
        version=${BASH_REMATCH[1]} when="${BASH_REMATCH[2]} UTC"
        [[ $when == [0-9]* ]] || when=@$SOURCE_DATE_EPOCH
        printf 'reuseport-exec (%s) unstable; urgency=medium\n\n' "$version"
    elif [ -n "$version" ] && [[ $line == '- '* ]]; then
        fold -s -w 74 <<<"${line#- }" | sed -e 's/ *$//' -e '1 s/^/  * /' -e '1 ! s/^/    /'
    fi
done < <(points)
end_of_version
