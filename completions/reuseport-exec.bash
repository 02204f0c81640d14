# bash completion for reuseport-exec                                  -*- shell-script -*-
# Works with and without the package bash-completion.

# >>> from the tables of options and verbs: `make completions` writes this part
# Sets `verbs`, `options`, `not_for_deploy`, `repeatable`, `valued`, `dialects` and `topics` of the caller.
# shellcheck disable=SC2034
_reuseport_exec_tables() {
    verbs='deploy start migrate rollback list ls state st logs history scale restart suspend resume enable'
    verbs+=' disable boot retire terminate forget wait check next count export finish'
    options='--socket --file --keep-fd --user --groups --no-groups --no-new-privs --chroot --chdir --umask'
    options+=' --clear-env --keep-env --env --env-from --update-env --pass --app --generation --copies --copy'
    options+=' --steering --balance --ready --ready-timeout --settle --lock-timeout --run-dir --notify-fd --log-fd'
    options+=' --quiet --debug --drain --stop-signal --stop-message --stop-timeout --keep-retired --retired-nice'
    options+=' --memory-high --memory-max --app-memory-max --log --on --watch --watch-check --suspended --at-boot'
    options+=' --state-dir --permanent --on-exit --on-deploy --config --dry-run --json --help --version'
    not_for_deploy='--env-from --copy --notify-fd --log-fd'
    repeatable='--socket --file --keep-fd --keep-env --keep --env'
    valued='--socket --file --keep-fd --user --groups --chroot --chdir --umask --keep-env --keep --env'
    valued+=' --env-from --pass --app --generation --copies --copy --steering --balance --ready --ready-timeout'
    valued+=' --settle --lock-timeout --run-dir --notify-fd --log-fd --drain --stop-signal --stop-message'
    valued+=' --stop-timeout --keep-retired --retired-nice --memory-high --memory-max --app-memory-max --log --on'
    valued+=' --watch --watch-check --state-dir --permanent --on-exit --on-deploy --pid --timeout --of --lines -n'
    valued+=' --config'
    dialects='systemd niagra niagra2 lactoserv nodesockd nodesockd2 cluster nginx server-starter einhorn unicorn'
    dialects+=' php-fpm inetd adopt'
    topics='sockets files privileges environment dialects apps retire memory deploy config verbs codes start'
    topics+=' migrate rollback list ls state st logs history scale restart suspend resume enable disable boot'
    topics+=' terminate forget wait check next count export finish'
}

# _reuseport_exec_kind OPTION: sets `kind` of the caller to what its value is.
_reuseport_exec_kind() {
    case $1 in
        --socket) kind='sockets' ;;
        --file) kind='files_to_open' ;;
        --user) kind='users' ;;
        --groups) kind='groups' ;;
        --chroot) kind='directories' ;;
        --chdir) kind='directories' ;;
        --umask) kind='words 022 027 077' ;;
        --keep-env | --keep) kind='variables' ;;
        --env) kind='assignments' ;;
        --env-from) kind='files' ;;
        --pass) kind='dialects' ;;
        --app) kind='apps' ;;
        --generation) kind='labels' ;;
        --copies) kind='copies' ;;
        --copy) kind='numbers' ;;
        --steering) kind='words auto ebpf cbpf off' ;;
        --balance) kind='words random client-ip cpu hash' ;;
        --ready) kind='readiness' ;;
        --ready-timeout) kind='times' ;;
        --settle) kind='times' ;;
        --lock-timeout) kind='times' ;;
        --run-dir) kind='directories' ;;
        --drain) kind='times' ;;
        --stop-signal) kind='words TERM INT QUIT HUP USR1 USR2 WINCH' ;;
        --stop-message) kind='words shutdown stop quit' ;;
        --stop-timeout) kind='times' ;;
        --log) kind='logs' ;;
        --on) kind='supervisors' ;;
        --watch) kind='times' ;;
        --state-dir) kind='directories' ;;
        --pid) kind='processes' ;;
        --timeout) kind='times' ;;
        --of) kind='labels' ;;
        --config) kind='files' ;;
        --help | -h) kind='topics' ;;
    esac
}

# _reuseport_exec_verb_options VERB: sets `options` of the caller.
_reuseport_exec_verb_options() {
    case $1 in
        rollback) options='--generation --copies --run-dir --quiet --debug --config --json' ;;
        list | ls) options='--run-dir --quiet --all --wide --watch --config --json' ;;
        state | st) options='--run-dir --quiet --watch --config --json' ;;
        logs) options='--generation --copy --run-dir --quiet --follow --lines --config' ;;
        history) options='--run-dir --quiet --config --json' ;;
        scale) options='--run-dir --quiet --debug --config' ;;
        restart) options='--copy --run-dir --quiet --debug --at-once --config' ;;
        suspend) options='--run-dir --quiet --debug --in-place --config' ;;
        resume) options='--run-dir --quiet --config' ;;
        enable) options='--run-dir --quiet --state-dir --config' ;;
        disable) options='--run-dir --quiet --state-dir --config' ;;
        boot) options='--run-dir --quiet --state-dir --config' ;;
        retire) options='--run-dir --quiet --config' ;;
        terminate) options='--run-dir --quiet --retired --config' ;;
        forget) options='--run-dir --quiet --config' ;;
        wait) options='--generation --run-dir --quiet --pid --timeout --config' ;;
        check) options='--generation --run-dir --quiet --config' ;;
        next) options='--run-dir --quiet --of --config' ;;
        count) options='--run-dir --quiet --config --json' ;;
        export) options='--run-dir --quiet --config' ;;
        finish) options='--generation --copy --run-dir --quiet --permanent --on-exit --config' ;;
    esac
}
# <<<

# _reuseport_exec_list CANDIDATES LIST: completes the last entry of a list with commas between; what it has is not
# offered again.
_reuseport_exec_list() {
    local list=$2 head='' word
    [[ $list != *,* ]] || head=${list%,*},
    for word in $1; do
        [[ ,$head == *",$word,"* ]] || printf '%s\n' "$head$word"
    done
}

# _reuseport_exec_socket VALUE: candidates for NAME:ADDRESS[,OPTION...].
_reuseport_exec_socket() {
    local value=$1 name=${1%%:*} rest=${1#*:} head last option options device
    if [[ $value != *:* ]]; then
        return
    elif [[ $rest == *,* ]]; then
        head=$name:${rest%,*},
        last=${rest##*,}
        case $last in
            owner=*) compgen -P "${head}owner=" -u -- "${last#*=}" ;;
            group=*) compgen -P "${head}group=" -g -- "${last#*=}" ;;
            # Not by compgen -W: that expands words, and others name interfaces.
            bind-dev=*)
                for device in /sys/class/net/*; do
                    [[ ! -e $device ]] || printf '%s\n' "${head}bind-dev=${device##*/}"
                done
                ;;
            listen=*) printf '%s\n' "${head}listen=no" ;;
            *=*) ;;
            *)
                case $rest in
                    unix:*) options='mode= owner= group= backlog= listen=no fd=' ;;
                    udp:*) options='fd= freebind bind-dev=' ;;
                    *) options='backlog= listen=no fd= freebind bind-dev= nodelay' ;;
                esac
                for option in $options; do
                    [[ ,${rest#*,} == *",${option%%=*}"[,=]* ]] || printf '%s\n' "$head$option"
                done
                ;;
        esac
    elif [[ $rest == unix:* ]]; then
        compgen -P "$name:unix:" -f -- "${rest#unix:}"
    elif [[ $rest == udp:* ]]; then
        printf '%s\n' "$name:udp:"{'0.0.0.0:','*:','127.0.0.1:','[::]:'}
    else
        printf '%s\n' "$name:"{'0.0.0.0:','*:','127.0.0.1:','[::]:','udp:','unix:'}
    fi
}

# _reuseport_exec_file VALUE: candidates for NAME:PATH[:FLAGS].
_reuseport_exec_file() {
    local value=$1 name=${1%%:*} rest=${1#*:}
    if [[ $value != *:* ]]; then
        return
    elif [[ ${rest##*/} == *:* ]]; then
        local path=${rest%:*}
        _reuseport_exec_list 'r w rw a create excl trunc' "${rest##*:}" |
            while IFS= read -r flags; do printf '%s\n' "$name:$path:$flags"; done
    else
        compgen -P "$name:" -f -- "$rest"
    fi
}

# _reuseport_exec_run_directory WORD...: where apps are registered, by the words of the line.
_reuseport_exec_run_directory() {
    local directory=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/reuseport-exec}
    [[ $EUID -ne 0 ]] || directory=/run/reuseport-exec
    while [[ $# -gt 0 ]]; do
        case $1 in
            --run-dir) directory=${2-} ;;
            --run-dir=*) directory=${1#*=} ;;
        esac
        shift
    done
    printf '%s\n' "$directory"
}

# _reuseport_exec_apps DIRECTORY: the apps that are registered there.
_reuseport_exec_apps() {
    local file
    for file in "$1"/*/app; do
        [[ ! -f $file ]] || { file=${file%/app} && printf '%s\n' "${file##*/}"; }
    done
}

# _reuseport_exec_labels DIRECTORY APP: the generations of an app, of all apps if none is given.
_reuseport_exec_labels() {
    local file line
    for file in "$1"/${2:-*}/app; do
        [[ -f $file && -r $file ]] || continue
        while read -r line; do
            [[ $line != generation=* ]] || { line=${line#* } && printf '%s\n' "${line%% *}"; }
        done <"$file"
    done
}

# _reuseport_exec_numbers DIRECTORY APP: the numbers of an app's copies.
_reuseport_exec_numbers() {
    local file
    for file in "$1/$2"/*-*; do
        [[ ! -f $file ]] || printf '%s\n' "${file##*-}"
    done | sort -un
}

# _reuseport_exec_app_of WORD...: the app that --app names.
_reuseport_exec_app_of() {
    while [[ $# -gt 0 ]]; do
        case $1 in
            --app) printf '%s\n' "${2-}" ;;
            --app=*) printf '%s\n' "${1#*=}" ;;
        esac
        shift
    done
}

# _reuseport_exec_targets VALUE: candidates for who starts the copies.
_reuseport_exec_targets() {
    case $1 in
        runit:* | s6:*) compgen -P "${1%%:*}:" -d -- "${1#*:}" ;;
        *) printf '%s\n' runit: s6: systemd ;;
    esac
}

# _reuseport_exec_words LIST: one a line.
_reuseport_exec_words() {
    local word
    for word in $1; do printf '%s\n' "$word"; done
}

# _reuseport_exec_value OPTION VALUE: candidates for an option's value; `words` is the line.
_reuseport_exec_value() {
    local value=$2 kind=''
    local verbs options not_for_deploy repeatable valued dialects topics
    _reuseport_exec_tables
    _reuseport_exec_kind "$1"
    case $kind in
        words\ *) _reuseport_exec_words "${kind#words }" ;;
        files) compgen -f -- "$value" ;;
        directories) compgen -d -- "$value" ;;
        users)
            if [[ $value == *:* ]]; then
                compgen -P "${value%%:*}:" -g -- "${value#*:}"
            else
                compgen -u -- "$value"
            fi
            ;;
        groups) _reuseport_exec_list "$(compgen -g)" "$value" ;;
        variables) compgen -e -- "$value" ;;
        assignments) [[ $value == *=* ]] || compgen -S = -e -- "$value" ;;
        sockets) _reuseport_exec_socket "$value" ;;
        files_to_open) _reuseport_exec_file "$value" ;;
        dialects) _reuseport_exec_list "$dialects" "$value" ;;
        apps) _reuseport_exec_apps "$(_reuseport_exec_run_directory "${words[@]}")" ;;
        labels)
            _reuseport_exec_labels "$(_reuseport_exec_run_directory "${words[@]}")" \
                "${app:-$(_reuseport_exec_app_of "${words[@]}")}"
            ;;
        numbers) [[ -z $app ]] || _reuseport_exec_numbers "$(_reuseport_exec_run_directory "${words[@]}")" "$app" ;;
        times) [[ ! $value =~ ^[0-9]+$ ]] || printf '%s\n' "$value"{ms,s,m,h} ;;
        readiness) printf '%s\n' accept http: https: notify ipc ack fd: exec: none ;;
        supervisors) _reuseport_exec_targets "$value" ;;
        logs) printf '%s\n' syslog - && compgen -f -- "$value" ;;
        copies) [[ -z $isdeploy ]] || printf '%s\n' auto same ;;
        topics) _reuseport_exec_words "$topics" ;;
    esac
}

_reuseport_exec() {
    # The shell has split at ':' and '=' (see COMP_WORDBREAKS); what stands together in the line belongs together.
    local words=() starts=() line=$COMP_LINE word before index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ -n $word ]]; then
            before=${line%%"$word"*}
            line=${line#"$before$word"}
        else
            before=${line%%[! ]*}
        fi
        if [[ $index -gt 0 && -z $before ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            starts+=("$index")
        fi
    done
    local last=$((${#words[@]} - 1))
    local current=${words[last]} raw=${COMP_WORDS[COMP_CWORD]}

    local verbs options not_for_deploy repeatable valued dialects topics
    _reuseport_exec_tables
    local isdeploy='' first=1
    if [[ $last -eq 1 && $current != -* && $current != */* ]]; then
        # Programs stand behind an option or --.
        [[ -n $current ]] || verbs+=" $options"
        _reuseport_exec_offer "$(_reuseport_exec_words "$verbs help version")"
        return
    elif [[ $last -gt 1 && ${words[1]} == @(help|version) ]]; then
        [[ $last -gt 2 || ${words[1]} != help ]] || _reuseport_exec_offer "$(_reuseport_exec_words "$topics")"
        return
    fi
    if [[ $last -gt 1 && " $verbs " == *" ${words[1]} "* ]]; then
        case ${words[1]} in
            deploy | start | migrate) isdeploy=yes first=2 ;;
            *)
                _reuseport_exec_verb
                return
                ;;
        esac
    fi

    # Where the command begins, if it does before the word that is being completed.
    local given=' ' option='' command=0 app=''
    for ((index = first; index < last; index++)); do
        word=${words[index]}
        if [[ $word == -- ]]; then
            command=$((index + 1))
            break
        elif [[ $word != -?* ]]; then
            # The first one behind deploy is the app, unless that is known.
            if [[ -n $isdeploy && -z $app && $given != *' --app '* && $given != *' --config '* ]]; then
                app=$word
                continue
            fi
            command=$index
            break
        fi
        given+="${word%%=*} "
        case $word in
            --help | -h)
                option=$word
                break
                ;;
            *=*) ;;
            *)
                if [[ " $valued " == *" $word "* ]]; then
                    index=$((index + 1))
                    [[ $index -ne $last ]] || option=$word
                fi
                ;;
        esac
    done

    COMPREPLY=()
    if [[ -n $isdeploy && -z $app && -z $option && $command -eq 0 && $current != -* ]] &&
        [[ $given != *' --app '* && $given != *' --config '* ]]; then
        compopt -o nospace 2>/dev/null
        _reuseport_exec_offer "$(_reuseport_exec_apps "$(_reuseport_exec_run_directory "${words[@]}")")"
        return
    fi
    # Where nothing is written yet, options: there are more commands than anybody can read.
    if [[ $command -gt 0 || ( -z $option && -n $current && $current != -* ) ]]; then
        [[ $command -gt 0 ]] || command=$last
        _reuseport_exec_command "$command" "$last" "${starts[command]}" "$current"
        return
    fi

    local candidates
    compopt -o nospace 2>/dev/null
    if [[ -n $option ]]; then
        candidates=$(_reuseport_exec_value "$option" "$current")
    elif [[ $current == --*=* ]]; then
        candidates=$(_reuseport_exec_joined)
    else
        candidates=$(
            for word in $options; do
                [[ -z $isdeploy || " $not_for_deploy " != *" $word "* ]] || continue
                [[ $given == *" $word "* && " $repeatable " != *" $word "* ]] || printf '%s\n' "$word"
            done
            printf '%s\n' --
        )
    fi

    _reuseport_exec_offer "$candidates"
}

# Candidates for --option=value, as `current` has it.
_reuseport_exec_joined() {
    local word
    _reuseport_exec_value "${current%%=*}" "${current#*=}" |
        while IFS= read -r word; do printf '%s\n' "${current%%=*}=$word"; done
}

# _reuseport_exec_offer CANDIDATES: those that begin with the word being completed, `current` as we join it and `raw` as
# the shell does.
_reuseport_exec_offer() {
    # Only what is behind the last of the shell's word breaks is ours to replace.
    local word prefix=${current%"$raw"}
    [[ $raw != [:=] && $raw != [:=][:=] ]] || prefix=$current
    while IFS= read -r word; do
        [[ -n $word && $word == "$current"* ]] || continue
        [[ -d ${word##*:} && $word == */* && $word != */ ]] && word+=/
        word=${word#"$prefix"}
        # Names of files can hold anything, and the shell takes what is offered as if it had been typed.
        [[ $word != *[\`\$\"\'\\\;\&\|\<\>\(\)[:space:][:cntrl:]]* ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done <<<"$1"
    # A value that is complete is followed by a blank; one that goes on is not.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} != *[:=/,] ]]; then
        compopt +o nospace 2>/dev/null
    fi
}

# Completes what stands behind a verb: an app, and options. The tables are the caller's.
_reuseport_exec_verb() {
    local app='' candidates='' option='' verb=${words[1]} index
    _reuseport_exec_verb_options "$verb"
    for ((index = 2; index < last; index++)); do
        if [[ " $valued " == *" ${words[index]} "* ]]; then
            option=${words[index]}
            index=$((index + 1))
            [[ $index -ge $last ]] || option=''
        elif [[ ${words[index]} != -* ]]; then
            app=${words[index]}
        fi
    done
    compopt -o nospace 2>/dev/null
    case $option,$current in
        --*,*) candidates=$(_reuseport_exec_value "$option" "$current") ;;
        ,--*=*) candidates=$(_reuseport_exec_joined) ;;
        ,-* | ,) candidates=${options// /$'\n'}$'\n'--help ;;&
        ,-*) ;;
        *)
            if [[ -z $app && $verb != l* ]]; then
                candidates=$(_reuseport_exec_apps "$(_reuseport_exec_run_directory "${words[@]}")")
            fi
            ;;
    esac
    _reuseport_exec_offer "$candidates"
}

# _reuseport_exec_command FIRST LAST RAW CURRENT: completes the command that is to be run.
_reuseport_exec_command() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$3"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$3"
    elif [[ $1 -eq $2 ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -c -- "$4")
    else
        compopt -o default 2>/dev/null
    fi
}

complete -F _reuseport_exec reuseport-exec
