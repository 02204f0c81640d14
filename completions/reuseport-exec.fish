# fish completion for reuseport-exec

# The words of the command that is to be run, without the one that is being completed; fails if it has not begun.
function __reuseport_exec_command
    set -l words (commandline -opc)
    set -e words[1]
    # Behind deploy the first word is the app, unless that is known.
    set -l app
    set -q words[1]; and contains -- $words[1] $__reuseport_exec_deploy; and set app wanted; and set -e words[1]
    while set -q words[1]
        string match -q -r '^--(app|config)(=|$)' -- $words[1]; and set app given
        switch $words[1]
            case --
                set -e words[1]
                set -q words[1]; and printf '%s\n' $words
                return 0
            case $__reuseport_exec_valued
                set -e words[1]
                # What follows is being completed: it is the value.
                set -q words[1]; or return 1
                set -e words[1]
            case --help -h
                return 1
            case '-?*'
                set -e words[1]
            case '*'
                if test "$app" = wanted
                    set app given
                    set -e words[1]
                    continue
                end
                printf '%s\n' $words
                return 0
        end
    end
    return 1
end

# Whether deploy stands there, and its app is still to be named.
function __reuseport_exec_deploys
    set -l words (commandline -opc)
    set -q words[2]; and contains -- $words[2] $__reuseport_exec_deploy
end
function __reuseport_exec_expects_app
    __reuseport_exec_deploys; or return 1
    set -l words (commandline -opc)[3..-1]
    while set -q words[1]
        string match -q -r '^--(app|config)(=|$)' -- $words[1]; and return 1
        switch $words[1]
            case $__reuseport_exec_valued
                set -e words[1]
                set -q words[1]; or return 1
                set -e words[1]
            case --
                return 1
            case '-*'
                set -e words[1]
            case '*'
                return 1
        end
    end
end

# Whether options may follow here.
function __reuseport_exec_options
    not __reuseport_exec_command >/dev/null
end

# Whether the next word is the command, or an option.
function __reuseport_exec_expects_word
    __reuseport_exec_options; or return 1
    set -l words (commandline -opc)
    not contains -- $words[-1] $__reuseport_exec_valued --help -h
end

# Whether a command may begin in this word. Not in the first one, but for its path; and where nothing is written yet,
# options are offered: there are more commands than anybody can read.
function __reuseport_exec_expects_command
    __reuseport_exec_expects_word; and not __reuseport_exec_expects_app; or return 1
    set -l token (commandline -ct)
    if __reuseport_exec_expects_verb
        string match -q '*/*' -- $token
    else
        test -n "$token"
    end
end

# Whether nothing has been written yet.
function __reuseport_exec_expects_verb
    test (count (commandline -opc)) -eq 1
end

# Whether the first word is a verb; with arguments, whether it is one of these.
function __reuseport_exec_verb
    set -l words (commandline -opc)
    set -q words[2]; and contains -- $words[2] $__reuseport_exec_verbs
    and begin
        not set -q argv[1]; or contains -- $words[2] $argv
    end
end

# The app that is named: behind a verb, or by --app.
function __reuseport_exec_app
    set -l words (commandline -opc)
    set -e words[1]
    if __reuseport_exec_verb
        set -e words[1]
        while set -q words[1]
            switch $words[1]
                case $__reuseport_exec_valued
                    set -e words[1]
                    set -q words[1]; and set -e words[1]
                case '-*'
                    set -e words[1]
                case '*'
                    echo $words[1]
                    return 0
            end
        end
        return 1
    end
    if __reuseport_exec_deploys; and not string match -q -- '-*' $words[2]
        echo $words[2]
        return
    end
    set -l index (contains -i -- --app $words); and echo $words[(math $index + 1)]
    string replace -f -r '^--app=' '' -- $words
end

# Where apps are registered.
function __reuseport_exec_run_directory
    set -l words (commandline -opc)
    set -l index (contains -i -- --run-dir $words); and set -q words[(math $index + 1)]
    and echo $words[(math $index + 1)]; and return
    string replace -f -r '^--run-dir=' '' -- $words; and return
    if test (id -u) -eq 0
        echo /run/reuseport-exec
    else
        echo $XDG_RUNTIME_DIR/reuseport-exec
    end
end

function __reuseport_exec_apps
    for file in (__reuseport_exec_run_directory)/*/app
        string split / -- $file | tail -n 2 | head -n 1
    end
end

function __reuseport_exec_labels
    set -l files (__reuseport_exec_run_directory)/*/app
    set -l app (__reuseport_exec_app); and set files (string match -- "*/$app[1]/app" $files)
    for file in $files
        string replace -f -r '^generation=\d+ (\S+) .*' '$1' <$file
    end
end

# The numbers of the app's copies.
function __reuseport_exec_numbers
    set -l app (__reuseport_exec_app); or return
    for file in (__reuseport_exec_run_directory)/$app[1]/*-*
        string match -r '\d+$' -- $file
    end | sort -un
end

function __reuseport_exec_times
    set -l number (commandline -ct | string match -r '\d+$'); and printf "$number%s\n" ms s m h
end

# runit:DIR, s6:DIR or systemd
function __reuseport_exec_supervisors
    set -l value (commandline -ct | string replace -r '^--on=' '')
    set -l kind (string match -r '^(?:runit|s6):' -- $value)
    if set -q kind[1]
        printf "$kind%s\n" (__fish_complete_directories (string replace $kind '' -- $value))
    else
        printf '%s\n' runit: s6: systemd
    end
end

function __reuseport_exec_complete_command
    set -l words (__reuseport_exec_command | string escape)
    complete -C "$words "(commandline -ct)
end

# The last entry of a list with commas between: __reuseport_exec_list CANDIDATE...
function __reuseport_exec_list
    set -l list (commandline -ct | string replace -r '^--[a-z-]+=' '')
    set -l head (string match -r '.*,' -- $list)
    set -l given (string split , -- $list)
    for candidate in $argv
        contains -- (string split \t -- $candidate)[1] $given[1..-2]; or echo "$head$candidate"
    end
end

function __reuseport_exec_groups
    __reuseport_exec_list (__fish_complete_groups)
end

function __reuseport_exec_users
    set -l value (commandline -ct | string replace -r '^--user=' '')
    if string match -q '*:*' -- $value
        set -l user (string replace -r ':.*' '' -- $value)
        for group in (__fish_complete_groups)
            echo "$user:$group"
        end
    else
        __fish_complete_users
    end
end

function __reuseport_exec_dialects
    __reuseport_exec_list $__reuseport_exec_dialects
end

function __reuseport_exec_readiness
    printf '%s\n' accept http: https: notify ipc ack fd: exec: none
end

function __reuseport_exec_copies
    __reuseport_exec_deploys; and printf '%s\n' auto same
end

# NAME:ADDRESS[,OPTION...]
function __reuseport_exec_sockets
    set -l value (commandline -ct | string replace -r '^--socket=' '')
    set -l name (string match -r '^[^:]*:' -- $value); or return
    set -l rest (string replace -r '^[^:]*:' '' -- $value)
    if string match -q '*,*' -- $rest
        set -l head $name(string match -r '.*,' -- $rest)
        set -l options fd=\t'number in the target'
        string match -q 'udp:*' -- $rest
        or set -a options backlog=\t'connections that may wait' listen=no\t'bind only'
        if string match -q 'unix:*' -- $rest
            set -a options mode=\t'permission bits'
            switch (string match -r '[^,]*$' -- $rest)
                case 'owner=*'
                    set options owner=(__fish_complete_users)
                case 'group=*'
                    set options group=(__fish_complete_groups)
                case '*'
                    set -a options owner=\t'who owns the path' group=\t'group of the path'
            end
        else
            set -a options freebind\t'bind even if the address does not exist yet'
            set -a options bind-dev=(command ls /sys/class/net 2>/dev/null)\t'traffic of this interface only'
            string match -q 'udp:*' -- $rest; or set -a options nodelay\t'TCP_NODELAY on accepted connections'
        end
        printf "$head%s\n" $options
    else if string match -q 'unix:*' -- $rest
        printf "$name"unix:'%s\n' (__fish_complete_path (string replace unix: '' -- $rest))
    else if string match -q 'udp:*' -- $rest
        printf "$name"udp:'%s\n' 0.0.0.0: '*:' 127.0.0.1: '[::]:'
    else
        printf "$name%s\n" 0.0.0.0: '*:' 127.0.0.1: '[::]:' udp: unix:
    end
end

# NAME:PATH[:FLAGS]
function __reuseport_exec_files_to_open
    set -l value (commandline -ct | string replace -r '^--file=' '')
    set -l name (string match -r '^[^:]*:' -- $value); or return
    set -l rest (string replace -r '^[^:]*:' '' -- $value)
    if string match -qr ':[^/]*$' -- $rest
        set -l head $name(string match -r '.*[:,]' -- $rest)
        printf "$head%s\n" r\tread w\twrite rw\t'read and write' a\tappend create\t'make it if it is not there' \
            excl\t'with create: fail if it is there' trunc\t'empty it'
    else
        printf "$name%s\n" (__fish_complete_path $rest)
    end
end

complete -c reuseport-exec -f
complete -c reuseport-exec -n __reuseport_exec_expects_command -x -a '(__fish_complete_command)'
complete -c reuseport-exec -x \
    -n '__reuseport_exec_expects_word; and not __reuseport_exec_expects_app; and test -z "$(commandline -ct)"' \
    -a '$__reuseport_exec_names'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a help -d 'Show the page of a verb or a topic'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a version -d 'Show version and build'
complete -c reuseport-exec -n '__reuseport_exec_verb help; and test (count (commandline -opc)) -eq 2' -x \
    -a '$__reuseport_exec_topics'
complete -c reuseport-exec -n '__reuseport_exec_verb; and not __reuseport_exec_verb help version' -s h -l help \
    -d 'Show help'
complete -c reuseport-exec -n '__reuseport_exec_command; and not __reuseport_exec_verb' -x \
    -a '(__reuseport_exec_complete_command)'
complete -c reuseport-exec -x -a '(__reuseport_exec_apps)' \
    -n '__reuseport_exec_verb; and not __reuseport_exec_verb $__reuseport_exec_without_app; and not __reuseport_exec_app >/dev/null'
complete -c reuseport-exec -n __reuseport_exec_expects_app -x -a '(__reuseport_exec_apps)'
complete -c reuseport-exec -n 'contains -- (commandline -opc)[-1] --help -h; and __reuseport_exec_options' -x \
    -a '$__reuseport_exec_topics'

# >>> from the tables of options and verbs: `make completions` writes this part
# The options that take a value.
set -g __reuseport_exec_valued --socket --file --keep-fd --user --groups --chroot --chdir --umask --keep-env --keep \
    --env --env-from --pass --app --generation --copies --copy --steering --balance --ready --ready-timeout --settle \
    --lock-timeout --run-dir --notify-fd --log-fd --drain --stop-signal --stop-message --stop-timeout --keep-retired \
    --retired-nice --memory-high --memory-max --app-memory-max --log --on --watch --watch-check --state-dir \
    --permanent --on-exit --on-deploy --pid --timeout --of --lines -n --config
# Verbs, but for those that take the options of a command line.
set -g __reuseport_exec_verbs rollback list ls state st logs history scale restart suspend resume enable disable boot \
    retire terminate forget wait check next count export finish help version
set -g __reuseport_exec_deploy deploy start migrate
set -g __reuseport_exec_without_app boot help version
set -g __reuseport_exec_names --socket --file --keep-fd --user --groups --no-groups --no-new-privs --chroot --chdir \
    --umask --clear-env --keep-env --env --env-from --update-env --pass --app --generation --copies --copy --steering \
    --balance --ready --ready-timeout --settle --lock-timeout --run-dir --notify-fd --log-fd --quiet --debug --drain \
    --stop-signal --stop-message --stop-timeout --keep-retired --retired-nice --memory-high --memory-max \
    --app-memory-max --log --on --watch --watch-check --suspended --at-boot --state-dir --permanent --on-exit \
    --on-deploy --config --dry-run --json --help --version
set -g __reuseport_exec_dialects \
    systemd\t'LISTEN_FDS LISTEN_PID LISTEN_FDNAMES, from 3 on' \
    niagra\t'arguments --fd NAME,FD and --file NAME,FD' \
    niagra2\t'arguments --fd NAME,insecure,FD and --file NAME,FD' \
    lactoserv\t'LACTOSERV_FDS={"http":"/dev/fd/3",...}' \
    nodesockd\t'LISTEN_ON NODESOCKD_WORKER_ID NODESOCKD_SUSPENDED, a channel' \
    nodesockd2\t'the same for its version 2: NODESOCKD_SOCKET_PATH' \
    cluster\t'a Node channel, through which a worker gets its listeners' \
    nginx\t'NGINX=3;4;' \
    server-starter\t'SERVER_STARTER_PORT=0.0.0.0:80=3;/run/x.sock=4' \
    einhorn\t'EINHORN_FD_COUNT EINHORN_FD_0 EINHORN_CHILD_INDEX ...' \
    unicorn\t'UNICORN_FD=3,4' \
    php-fpm\t'FPM_SOCKETS=127.0.0.1:9000=3,...' \
    inetd\t'the one socket at descriptor 0' \
    adopt\t'a library hands it over when the program binds by itself'
set -g __reuseport_exec_topics sockets files privileges environment dialects apps retire memory deploy config verbs \
    codes start migrate rollback list ls state st logs history scale restart suspend resume enable disable boot \
    terminate forget wait check next count export finish

complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'deploy start migrate' \
    -d 'Hand over to new copies; see --help deploy'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'rollback' -d 'Deploy what served before again'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'list ls' -d 'A line for each app, or its generations'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'state st' -d 'Everything that is known'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'logs' -d 'What the copies have written'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'history' \
    -d 'Who has changed it, when, with what result'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'scale' -d 'Have N copies'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'restart' -d 'Start copy by copy anew'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'suspend' -d 'Have the copies stand still'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'resume' -d 'Have them go on'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'enable' \
    -d 'Have boot deploy it, as it is deployed now'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'disable' -d 'Not any more'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'boot' -d 'Deploy what is enabled and does not run'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'retire' -d 'Tell the live generation to stop'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'terminate' \
    -d 'End all generations, or the retired ones'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'forget' \
    -d 'Remove what is left of an app that has ended'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'wait' \
    -d 'Until it has taken over (0) or has failed (1)'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'check' -d '0 if it is live, 1 if not'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'next' -d "The label after the live one's"
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'count' -d 'How many copies serve'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'export' \
    -d 'How it is deployed, as a configuration file'
complete -c reuseport-exec -n __reuseport_exec_expects_verb -x -a 'finish' \
    -d "A finish script's: records, waits, stays down"
complete -c reuseport-exec -n '__reuseport_exec_verb rollback logs wait check finish' -l generation -x -a '(__reuseport_exec_labels)' \
    -d 'The generation of this label'
complete -c reuseport-exec -n '__reuseport_exec_verb rollback' -l copies -x -a '(__reuseport_exec_copies)' \
    -d 'How many copies make it complete (1)'
complete -c reuseport-exec -n '__reuseport_exec_verb logs restart finish' -l copy -x -a '(__reuseport_exec_numbers)' \
    -d 'The copy of this number'
complete -c reuseport-exec -n __reuseport_exec_verb -l run-dir -x -a '(__fish_complete_directories)' \
    -d 'Where apps are registered'
complete -c reuseport-exec -n __reuseport_exec_verb -l quiet -d 'Warnings only'
complete -c reuseport-exec -n '__reuseport_exec_verb rollback scale restart suspend' -l debug -d 'Every change of state'
complete -c reuseport-exec -n '__reuseport_exec_verb enable disable boot' -l state-dir -x -a '(__fish_complete_directories)' \
    -d 'What is kept for the next boot'
complete -c reuseport-exec -n '__reuseport_exec_verb finish' -l permanent -x -d 'Exit codes after which it stays down'
complete -c reuseport-exec -n '__reuseport_exec_verb finish' -l on-exit -x -d 'Command that is told of the end'
complete -c reuseport-exec -n '__reuseport_exec_verb wait' -l pid -x -a '(__fish_complete_pids)' \
    -d 'The generation of this process'
complete -c reuseport-exec -n '__reuseport_exec_verb wait' -l timeout -x -a '(__reuseport_exec_times)' \
    -d 'Wait no longer'
complete -c reuseport-exec -n '__reuseport_exec_verb terminate' -l retired -d 'Only those that are retired'
complete -c reuseport-exec -n '__reuseport_exec_verb next' -l of -x -a '(__reuseport_exec_labels)' \
    -d 'Labels that take turns'
complete -c reuseport-exec -n '__reuseport_exec_verb restart' -l at-once -d 'Stop all copies, then start them again'
complete -c reuseport-exec -n '__reuseport_exec_verb suspend' -l in-place -d 'The running copies, and no new ones'
complete -c reuseport-exec -n '__reuseport_exec_verb list ls' -l all -d 'A line for each generation'
complete -c reuseport-exec -n '__reuseport_exec_verb list ls' -l wide -d 'Memory and processors, too'
complete -c reuseport-exec -n '__reuseport_exec_verb list ls state st' -l watch -d 'Again every second'
complete -c reuseport-exec -n '__reuseport_exec_verb logs' -s f -l follow -d 'And what they write from now on'
complete -c reuseport-exec -n '__reuseport_exec_verb logs' -s n -l lines -x -d 'The last N lines (100)'
complete -c reuseport-exec -n __reuseport_exec_verb -l config -r -F -d 'The file that describes the app'
complete -c reuseport-exec -n '__reuseport_exec_verb rollback list ls state st history count' -l json -d 'Print JSON'
complete -c reuseport-exec -n __reuseport_exec_options -l socket -x -a '(__reuseport_exec_sockets)' -d 'Bind a socket'
complete -c reuseport-exec -n __reuseport_exec_options -l file -x -a '(__reuseport_exec_files_to_open)' \
    -d 'Open a file before the drop'
complete -c reuseport-exec -n __reuseport_exec_options -l keep-fd -x -d "Let the caller's descriptor N through"
complete -c reuseport-exec -n __reuseport_exec_options -l user -x -a '(__reuseport_exec_users)' \
    -d 'Become USER, by name or id'
complete -c reuseport-exec -n __reuseport_exec_options -l groups -x -a '(__reuseport_exec_groups)' \
    -d "Supplementary groups, instead of USER's own"
complete -c reuseport-exec -n __reuseport_exec_options -l no-groups -d 'No supplementary groups'
complete -c reuseport-exec -n __reuseport_exec_options -l no-new-privs -d 'Set-user-id programs gain nothing'
complete -c reuseport-exec -n __reuseport_exec_options -l chroot -x -a '(__fish_complete_directories)' \
    -d 'Change the root directory'
complete -c reuseport-exec -n __reuseport_exec_options -l chdir -x -a '(__fish_complete_directories)' \
    -d 'Change the working directory, as USER'
complete -c reuseport-exec -n __reuseport_exec_options -l umask -x -a '022 027 077' \
    -d 'File mode creation mask, in octal'
complete -c reuseport-exec -n __reuseport_exec_options -l clear-env -d 'Start with an empty environment'
complete -c reuseport-exec -n __reuseport_exec_options -l keep-env -x -a '(set -nx)' -d 'With --clear-env: keep NAME'
complete -c reuseport-exec -n __reuseport_exec_options -l env -x -a '(set -nx)=' -d 'Set a variable'
complete -c reuseport-exec -n __reuseport_exec_options -l env-from -r -F \
    -d "The variables in FILE go before the caller's"
complete -c reuseport-exec -n __reuseport_exec_options -l update-env \
    -d "deploy: with deploy: the caller's, not the last time's"
complete -c reuseport-exec -n __reuseport_exec_options -l pass -x -a '(__reuseport_exec_dialects)' \
    -d 'How descriptors are announced'
complete -c reuseport-exec -n __reuseport_exec_options -l app -x -a '(__reuseport_exec_apps)' \
    -d 'Take over from the running generation of NAME'
complete -c reuseport-exec -n __reuseport_exec_options -l generation -x -a '(__reuseport_exec_labels)' \
    -d "This generation's label (default: a number)"
complete -c reuseport-exec -n __reuseport_exec_options -l copies -x -a '(__reuseport_exec_copies)' \
    -d 'How many copies make it complete (1)'
complete -c reuseport-exec -n __reuseport_exec_options -l copy -x -a '(__reuseport_exec_numbers)' \
    -d 'Which of them this is, from 0'
complete -c reuseport-exec -n __reuseport_exec_options -l steering -x -a 'auto ebpf cbpf off' \
    -d 'How connections are directed'
complete -c reuseport-exec -n __reuseport_exec_options -l balance -x -a 'random client-ip cpu hash' \
    -d 'Random, client-ip, cpu or hash'
complete -c reuseport-exec -n __reuseport_exec_options -l ready -x -a '(__reuseport_exec_readiness)' \
    -d 'How readiness is known (accept)'
complete -c reuseport-exec -n __reuseport_exec_options -l ready-timeout -x -a '(__reuseport_exec_times)' \
    -d 'Until it counts as failed (60s)'
complete -c reuseport-exec -n __reuseport_exec_options -l settle -x -a '(__reuseport_exec_times)' \
    -d 'Wait before retiring (cbpf: 200ms)'
complete -c reuseport-exec -n __reuseport_exec_options -l lock-timeout -x -a '(__reuseport_exec_times)' \
    -d 'Wait for another handoff (60s)'
complete -c reuseport-exec -n __reuseport_exec_options -l run-dir -x -a '(__fish_complete_directories)' \
    -d 'Where apps are registered'
complete -c reuseport-exec -n __reuseport_exec_options -l notify-fd -x -d 'A newline here when it has taken over'
complete -c reuseport-exec -n __reuseport_exec_options -l log-fd -x -d "The helper's lines go here (2)"
complete -c reuseport-exec -n __reuseport_exec_options -l quiet -d 'Warnings only'
complete -c reuseport-exec -n __reuseport_exec_options -l debug -d 'Every change of state'
complete -c reuseport-exec -n __reuseport_exec_options -l drain -x -a '(__reuseport_exec_times)' \
    -d 'Before that: until connections end (0s)'
complete -c reuseport-exec -n __reuseport_exec_options -l stop-signal -x -a 'TERM INT QUIT HUP USR1 USR2 WINCH' \
    -d 'What tells a copy to stop (TERM)'
complete -c reuseport-exec -n __reuseport_exec_options -l stop-message -x -a 'shutdown stop quit' \
    -d 'The same through a Node channel'
complete -c reuseport-exec -n __reuseport_exec_options -l stop-timeout -x -a '(__reuseport_exec_times)' \
    -d 'Until KILL (30s)'
complete -c reuseport-exec -n __reuseport_exec_options -l keep-retired -x -d 'Generations that may finish (3)'
complete -c reuseport-exec -n __reuseport_exec_options -l retired-nice -x -d 'Nice value of retired copies'
complete -c reuseport-exec -n __reuseport_exec_options -l memory-high -x -d 'From here on a copy is slowed down'
complete -c reuseport-exec -n __reuseport_exec_options -l memory-max -x -d 'Beyond this the kernel ends a copy'
complete -c reuseport-exec -n __reuseport_exec_options -l app-memory-max -x -d 'The same for all copies together'
complete -c reuseport-exec -n __reuseport_exec_options -l log -r -F -a 'syslog -' \
    -d "deploy: where the copies' output goes"
complete -c reuseport-exec -n __reuseport_exec_options -l on -x -a '(__reuseport_exec_supervisors)' \
    -d 'deploy: who starts the copies, and starts them again'
complete -c reuseport-exec -n __reuseport_exec_options -l watch -x -a '(__reuseport_exec_times)' \
    -d 'So long the old generation can come back (0s)'
complete -c reuseport-exec -n __reuseport_exec_options -l watch-check -x -d 'What checks copies until then (--ready)'
complete -c reuseport-exec -n __reuseport_exec_options -l suspended -d 'deploy: take over with copies that stand still'
complete -c reuseport-exec -n __reuseport_exec_options -l at-boot \
    -d 'deploy: have boot deploy it from now on, as enable does'
complete -c reuseport-exec -n __reuseport_exec_options -l state-dir -x -a '(__fish_complete_directories)' \
    -d 'deploy: what is kept for the next boot'
complete -c reuseport-exec -n __reuseport_exec_options -l permanent -x \
    -d 'deploy: with --on: final exit codes: 0,100-110'
complete -c reuseport-exec -n __reuseport_exec_options -l on-exit -x -d 'deploy: with --on: told of every end of a copy'
complete -c reuseport-exec -n __reuseport_exec_options -l on-deploy -x -d 'deploy: run when it has succeeded or failed'
complete -c reuseport-exec -n __reuseport_exec_options -l config -r -F -d 'Read options from FILE'
complete -c reuseport-exec -n __reuseport_exec_options -l dry-run -d 'Print the plan, touch nothing'
complete -c reuseport-exec -n __reuseport_exec_options -l json -d 'With --dry-run or deploy: print JSON'
complete -c reuseport-exec -n __reuseport_exec_options -s h -l help -d 'Show help'
complete -c reuseport-exec -n __reuseport_exec_options -s V -l version -d 'Show version and build'
# <<<
