#!/bin/sh
# An adapter for treeward-device-guard in plain shell. What it controls are files: DIRECTORY/<zone>.<kind>.<id> holds the
# definition of what exists.
#
#   treeward-device-guard --data guard.sqlite -- ./files.sh DIRECTORY
#
# The guard starts it once for each errand. What to do comes as one line of JSON on standard input, and, for programs that
# read no JSON, in variables. The answer is one JSON document on standard output and exit code 0. Anything else (another
# exit code, a signal, no JSON) means: nobody knows how far it came.
set -eu

# Nothing may be done before the whole line is here. A guard that is killed while it starts this program sends none.
read -r request || exit 1

directory=$1
file=$directory/$TREEWARD_ZONE.$TREEWARD_KIND.$TREEWARD_ID

put() { # the effect in one step: a program that is killed has done all of it, or nothing
    printf '%s\n' "$1" >"$file.new"
    mv "$file.new" "$file"
}

refuse() { # nothing was changed; the guard remembers that, and says so if the ticket comes again
    printf '{"status":"refused","reason":"%s"}\n' "$1"
    exit 0
}

# An earlier run of this ticket may have done it, and been killed before it could say so: then `again` is true. Whether
# what is found here is the work of that run can be told from `existed`: what there was when the ticket first began.
done_before() { [ "$TREEWARD_AGAIN" = true ] && [ "$TREEWARD_EXISTED" = "$1" ]; }

case $TREEWARD_VERB in
observe) ;;                                  # only tell, below
make) put "$TREEWARD_DEFINITION" ;;          # it existed elsewhere, and belongs here now
remove) rm -f "$file" ;;                     # it belongs elsewhere; must also be fine if there is nothing
call)
    case $TREEWARD_OPERATION in
    create)
        if [ ! -e "$file" ]; then
            put "${TREEWARD_SPEC:-"{}"}"
        elif ! done_before false; then
            refuse "$TREEWARD_ID exists"
        fi
        ;;
    destroy)
        if [ -e "$file" ]; then
            rm "$file"
        elif ! done_before true; then
            refuse "$TREEWARD_ID does not exist"
        fi
        ;;
    resize)
        [ -e "$file" ] || refuse "$TREEWARD_ID does not exist"
        put "${TREEWARD_SPEC:-"{}"}"         # again: the same once more, which does no harm
        ;;
    restore)                                 # others have changed it or taken it away: it is to be as it was
        [ -n "${TREEWARD_DEFINITION:-}" ] || refuse "restore names no definition"
        put "$TREEWARD_DEFINITION"           # makes what is missing, sets right what exists, and may come again
        ;;
    *) refuse "nothing here can $TREEWARD_OPERATION" ;;
    esac
    ;;
*) refuse "this adapter does not $TREEWARD_VERB" ;;
esac

# What exists now.
if [ -e "$file" ]; then
    printf '{"status":"ok","exists":true,"definition":%s}\n' "$(cat "$file")"
else
    printf '{"status":"ok","exists":false}\n'
fi
